#!/usr/bin/env bash
# Decides which images the stack runs, and writes them as variables: images.sh [jaeger]   (the file's name is printed)
#
# `images.sh jaeger` adds Jaeger's. Building it takes longer than all others together, so the suite builds it beside the tests.
#
# Official images where a registry answers. Elsewhere `propagation-local/*`, built from Debian packages, Maven Central and
# Go modules, tagged by the hash of their sources and so built once. IMAGES=official|local skips the check.
set -euo pipefail
# shellcheck source=docker.sh
source "$(dirname "${BASH_SOURCE[0]}")/docker.sh"
# shellcheck source=toolchains.sh
source "$setup_dir/toolchains.sh"

images_env=$state_dir/images.env
images_dir=$suite_dir/images
# All of it together, in seconds.
build_limit=720
# How long a registry may take to answer at all.
registry_limit=20

maven_plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1
collector_version=0.150.0
# The Go module's version of Jaeger 2.13.0.
jaeger_version=1.76.0
# In seconds, beside the tests.
jaeger_limit=2700
nats_version=2.15.3

# Prints the official image of a service: the default of NAME_IMAGE in compose.yaml.
official() { sed -n "s/.*\${${1^^}_IMAGE:-\(.*\)}.*/\1/p" "$suite_dir/compose.yaml" | head -n 1; }

have_image() { docker image inspect "$1" >/dev/null 2>&1; }

# Whether any registry answers, which is not the same as how fast it is: a pull that has begun counts.
registry_answers() {
  local image log=$state_dir/registry.log pid
  image=$(official base)
  have_image "$image" && return
  timeout 600 docker pull "$image" >"$log" 2>&1 &
  pid=$!
  local _
  for _ in $(seq $((registry_limit * 5))); do
    if grep -qE 'Pulling from|Status:' "$log"; then
      wait "$pid"
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null
}

# Pulls one official image; a failure is for the caller to judge.
pull() { have_image "$1" || timeout 600 docker pull "$1" >"$state_dir/pull.log" 2>&1; }

# --- building -------------------------------------------------------------------------------------------------------

left() { echo $((build_limit - SECONDS > 1 ? build_limit - SECONDS : 1)); }

# build NAME TAG CONTEXT [BASE]: no BuildKit, because Debian's engine has none and nothing here needs it.
build() {
  local tag=$2 context=$3 base=${4:-}
  have_image "$tag" && return
  DOCKER_BUILDKIT=0 timeout "$(left)" docker build -q ${base:+--build-arg "BASE=$base"} -t "$tag" "$context" \
    >"$state_dir/build-$1.log" 2>&1 || { tail -n 20 "$state_dir/build-$1.log" >&2; fail "building $tag failed"; }
}

build_base() {
  have_image "$local_base" && return
  have debootstrap || install_packages debootstrap || return
  local root
  root=$(mktemp -d)
  if timeout "$(left)" debootstrap --variant=minbase bookworm "$root" >"$state_dir/build-base.log" 2>&1; then
    tar -C "$root" -c . | docker import --change 'CMD ["bash"]' - "$local_base" >/dev/null
    rm -rf "$root"
  else
    tail -n 5 "$state_dir/build-base.log" >&2
    rm -rf "$root"
    fail "debootstrap failed"
  fi
}

# jars NAME: everything that images/NAME/pom.xml names, in a cached folder.
jars() {
  local name=$1 dir
  dir=$cache_dir/jars-$name-$(hash_of "$images_dir/$name")
  [[ -d $dir ]] || {
    ensure_maven || return
    local work
    work=$(mktemp -d)
    cp "$images_dir/$name/pom.xml" "$work"
    timeout "$(left)" mvn -q -B -f "$work/pom.xml" "$maven_plugin:copy-dependencies" -DincludeScope=runtime \
      "-DoutputDirectory=$work/libs" >"$state_dir/jars-$name.log" 2>&1 ||
      { tail -n 10 "$state_dir/jars-$name.log" >&2; rm -rf "$work"; fail "no jars for $name"; return; }
    mkdir -p "$dir"
    mv "$work/libs" "$dir/libs"
    rm -rf "$work"
  }
  echo "$dir/libs"
}

# java_image NAME TAG: the jars of images/NAME on top of the Java image.
java_image() {
  local name=$1 tag=$2 libs context
  have_image "$tag" && return
  libs=$(jars "$name") || return
  context=$(mktemp -d)
  cp -R "$images_dir/$name/." "$context"
  cp -R "$libs" "$context/libs"
  local status=0
  build "$name" "$tag" "$context" "$local_jre" || status=$?
  rm -rf "$context"
  return "$status"
}

build_collector() {
  have_image "$local_collector" && return
  local dir=$cache_dir/collector-${local_collector##*-} log=$state_dir/build-collector.log
  if [[ ! -x $dir/otelcol ]]; then
    ensure_go || return
    local work
    work=$(mktemp -d)
    cp "$images_dir/collector/builder.yaml" "$work"
    (
      cd "$work" &&
      GOBIN=$work timeout "$(left)" "$go_command" install \
        "go.opentelemetry.io/collector/cmd/builder@v$collector_version" &&
      PATH="$(dirname "$go_command"):$PATH" CGO_ENABLED=0 timeout "$(left)" ./builder --config=builder.yaml
    ) >"$log" 2>&1 || { tail -n 20 "$log" >&2; rm -rf "$work"; fail "building the Collector failed"; return; }
    mkdir -p "$dir"
    cp "$images_dir/collector/Dockerfile" "$work/out/otelcol" "$dir"
    rm -rf "$work"
  fi
  build collector "$local_collector" "$dir"
}

# build_go_jaeger DIR: the program. Without inlining and debug information it compiles in half of the time.
build_go_jaeger() {
  local work
  work=$(mktemp -d)
  (
    cd "$work" &&
    "$go_command" mod init jaeger-image &&
    timeout "$jaeger_limit" "$go_command" get -tool "github.com/jaegertracing/jaeger/cmd/jaeger@v$jaeger_version" &&
    CGO_ENABLED=0 timeout "$jaeger_limit" nice -n 15 "$go_command" build -trimpath -gcflags 'all=-dwarf=false -l' \
      -ldflags '-s -w' -o jaeger github.com/jaegertracing/jaeger/cmd/jaeger &&
    mkdir -p "$1" &&
    cp jaeger "$1/jaeger"
  ) >"$state_dir/build-jaeger.log" 2>&1 ||
    { tail -n 20 "$state_dir/build-jaeger.log" >&2; rm -rf "$work"; fail "building Jaeger failed"; return; }
  rm -rf "$work"
}

build_jaeger() {
  name_local_images
  have_image "$local_jaeger" && return
  local dir=$cache_dir/jaeger-${local_jaeger##*-} begin=$SECONDS
  if [[ ! -x $dir/jaeger ]]; then
    ensure_go && build_go_jaeger "$dir" || return
    say "Jaeger $jaeger_version is built after $((SECONDS - begin)) s"
  fi
  # The limit of `build` is for the other images.
  SECONDS=0
  cp "$images_dir/jaeger/Dockerfile" "$dir"
  build jaeger "$local_jaeger" "$dir"
}

build_nats() {
  have_image "$local_nats" && return
  local dir=$cache_dir/nats-${local_nats##*-} log=$state_dir/build-nats.log
  if [[ ! -x $dir/nats-server ]]; then
    ensure_go || return
    local work
    work=$(mktemp -d)
    CGO_ENABLED=0 GOBIN=$work timeout "$(left)" "$go_command" install \
      "github.com/nats-io/nats-server/v2@v$nats_version" >"$log" 2>&1 ||
      { tail -n 20 "$log" >&2; rm -rf "$work"; fail "building nats-server failed"; return; }
    mkdir -p "$dir"
    cp "$images_dir/nats/Dockerfile" "$work/nats-server" "$dir"
    rm -rf "$work"
  fi
  build nats "$local_nats" "$dir"
}

# Names each local image by the hash of its recipe, that of its base included.
# shellcheck disable=SC2034 # read by name
name_local_images() {
  local arch
  arch=$(docker version --format '{{.Server.Arch}}')
  local_base=propagation-local/debian:bookworm-$(printf '%s' "minbase $arch" | sha256sum | cut -c1-12)
  local_jre=propagation-local/jre:17-$(hash_of "$images_dir/jre" "$local_base")
  local_kafka=propagation-local/kafka:4.3.0-$(hash_of "$images_dir/kafka" "$local_jre")
  local_rabbitmq=propagation-local/rabbitmq:debian-$(hash_of "$images_dir/rabbitmq" "$local_base")
  local_elasticmq=propagation-local/elasticmq:1.7.1-$(hash_of "$images_dir/elasticmq" "$local_jre")
  local_zipkin=propagation-local/zipkin:3.6.1-$(hash_of "$images_dir/zipkin" "$local_jre")
  local_jaeger=propagation-local/jaeger:$jaeger_version-$(hash_of "$images_dir/jaeger" "$arch")
  local_nats=propagation-local/nats:$nats_version-$(hash_of "$images_dir/nats" "$arch")
  local_collector=propagation-local/collector:$collector_version-$(hash_of "$images_dir/collector" "$arch")
}

# Images of Debian packages: the two downloads on top of the base run at once.
debian_images() {
  build_base || return
  build rabbitmq "$local_rabbitmq" "$images_dir/rabbitmq" "$local_base" &
  local rabbitmq=$! status=0
  build jre "$local_jre" "$images_dir/jre" "$local_base" || status=1
  wait "$rabbitmq" || status=1
  return "$status"
}

build_local_images() {
  SECONDS=0
  name_local_images
  # Three lines of work that wait for different things: a compiler, Debian's mirror, Maven Central.
  local -A job=()
  # One Go build after the other: they share a toolchain that may have to be fetched.
  { build_nats && build_collector; } & job[collector]=$!
  debian_images & job[debian]=$!
  {
    for name in kafka elasticmq zipkin; do
      local variable=local_$name
      have_image "${!variable}" || jars "$name" >/dev/null || exit
    done
  } & job[jars]=$!

  local status=0 name
  for name in debian jars; do
    wait "${job[$name]}" || { fail "local images: $name" || status=1; }
  done
  if [[ $status == 0 ]]; then
    for name in kafka elasticmq zipkin; do
      local variable=local_$name
      java_image "$name" "${!variable}" & job[$name]=$!
    done
    for name in kafka elasticmq zipkin; do
      wait "${job[$name]}" || { fail "local images: $name" || status=1; }
    done
  fi
  wait "${job[collector]}" || { fail "local images: nats, collector" || status=1; }
  say "local images ready after $SECONDS s"
  return "$status"
}

# --- deciding -------------------------------------------------------------------------------------------------------

images_prepare() {
  local from=${IMAGES:-} name image
  if [[ -z $from ]]; then
    if registry_answers; then from=official; else from=local; fi
  fi
  local -A chosen=()
  if [[ $from == official ]]; then
    for name in base kafka rabbitmq elasticmq nats collector zipkin jaeger; do
      image=$(official "$name")
      say "pulling $image"
      if pull "$image"; then
        chosen[$name]=$image
      else
        tail -n 2 "$state_dir/pull.log" >&2
        from=mixed
      fi
    done
  else
    say "no image registry answers: building propagation-local/* (cached by content)"
  fi
  if [[ $from != official ]]; then
    build_local_images || return
    for name in base kafka rabbitmq elasticmq nats collector zipkin; do
      local variable=local_$name
      chosen[$name]=${chosen[$name]:-${!variable}}
    done
    have_image "$local_jaeger" && chosen[jaeger]=${chosen[jaeger]:-$local_jaeger}
  fi
  # A variable that the caller has set is the caller's own choice.
  {
    printf 'export IMAGES_FROM=%s\n' "$from"
    for name in base kafka rabbitmq elasticmq nats collector zipkin jaeger; do
      local variable=${name^^}_IMAGE
      image=${!variable:-${chosen[$name]:-}}
      # Jaeger is unset until `images.sh jaeger` has built it.
      if [[ -n $image ]]; then printf 'export %s=%s\n' "$variable" "$image"; fi
    done
  } >"$images_env"
  echo "$images_env"
}

# Adds Jaeger's image to those that `images_prepare` has chosen.
images_add_jaeger() {
  [[ -s $images_env ]] || { fail "images.sh comes first"; return; }
  if ! grep -q '^export JAEGER_IMAGE=' "$images_env"; then
    build_jaeger || return
    printf 'export JAEGER_IMAGE=%s\n' "$local_jaeger" >>"$images_env"
  fi
  echo "$images_env"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  case ${1:-} in
    '') images_prepare ;;
    jaeger) images_add_jaeger ;;
    *) fail "usage: images.sh [jaeger]" ;;
  esac
fi
