#!/usr/bin/env bash
# The stack's commands for `cargo demo --brokers compose`: demo.sh brokers | image PROGRAM | up | down [services]
#
# Messages go to standard error; standard output has lines of NAME VALUE for the demo. The brokers that are up are used, and left
# up; those that are not are started, and stopped again by `down`. An engine must be there (docker.sh up).
set -euo pipefail
# The caller's own choice, before that of the stack.
base_image=${BASE_IMAGE:-}
# shellcheck source=stack.sh
source "$(dirname "${BASH_SOURCE[0]}")/stack.sh"
# shellcheck source=images.sh
source "$setup_dir/images.sh"

demo_services=(gateway orders payments shipping notifications)
demo_image=${DEMO_IMAGE:-propagation-local/demo}
# There as long as the brokers are up because a demo started them: the number of its process, which started this one, too.
started=$state_dir/demo.started
# In seconds, until the services' containers are healthy.
services_limit=60

# containers [SERVICE [--all]]: those of the project that run, or all that there are. Quicker than to ask Compose.
containers() {
  local service=${1:-}
  docker ps -q ${2:+"$2"} --filter "label=com.docker.compose.project=${COMPOSE_PROJECT_NAME:-propagation}" \
    ${service:+--filter "label=com.docker.compose.service=$service"}
}

demo_brokers() {
  { have docker && engine_answers; } ||
    { fail "no Docker engine answers; integration-tests/setup/docker.sh up makes one available"; return; }
  docker compose version >/dev/null 2>&1 || have docker-compose ||
    { fail "Compose is not here: the plugin of docker, or docker-compose"; return; }
  if [[ -z $(containers) ]]; then
    say "starting the brokers"
    echo "$PPID" >"$started"
    if [[ ! -s $images_env ]] || ! have_image "${KAFKA_IMAGE:-$(official kafka)}"; then
      say "their images are pulled first, or built: minutes, and once"
      images_prepare >/dev/null || return
      # shellcheck source=/dev/null
      source "$images_env"
    fi
    stack_up >/dev/null || return
  elif [[ -n $(containers ready) ]]; then
    stack_wait || return
  else
    stack_up >/dev/null || return
  fi
  published kafka 9092
  published rabbitmq 5672
  published elasticmq 9324
  printf 'return %s\n' "$(docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$(containers relay)" |
    sed -n 's/^RETURN_ENDPOINT=//p')"
}

# published SERVICE PORT: where the host reaches it.
published() { printf '%s %s\n' "$1" "$(docker port "$(containers "$1")" "$2/tcp" | head -n 1)"; }

# The image is the program on top of the base image. The host has built it, for its own C library.
demo_image() {
  [[ -z ${DEMO_IMAGE:-} ]] || return 0
  local program=$1 context before after reason base=${base_image:-${BASE_IMAGE:-$(official base)}} log=$state_dir/build-demo.log
  context=$(mktemp -d)
  # shellcheck disable=SC2064 # its name is known now and not then
  trap "rm -rf '$context'" EXIT
  cp "$images_dir/demo/Dockerfile" "$context"
  # Without debug symbols it is a fifth of the size.
  strip -o "$context/demo" "$program" 2>/dev/null || cp "$program" "$context/demo"
  before=$(docker image inspect -f '{{.Id}}' "$demo_image" 2>/dev/null || true)
  if ! DOCKER_BUILDKIT=0 docker build -q --build-arg "BASE=$base" -t "$demo_image" "$context" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "building $demo_image failed"
    return
  fi
  after=$(docker image inspect -f '{{.Id}}' "$demo_image")
  [[ -z $before || $before == "$after" ]] || docker rmi "$before" >/dev/null 2>&1 || true
  if ! reason=$(docker run --rm --network none "$demo_image" --help 2>&1 >/dev/null); then
    printf 'unfit %s\n' "this program does not run on $base ($(head -n 1 <<<"$reason")); BASE_IMAGE chooses another"
  fi
}

# All at once, and not before they answer their health checks.
demo_up() {
  # Any free port: only the demo wants to know it.
  export GATEWAY_PORT=${GATEWAY_PORT:-0}
  local name id state log=$state_dir/demo-up.log deadline=$((SECONDS + services_limit))
  compose --profile demo up -d --no-deps --force-recreate "${demo_services[@]}" >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2; fail "the services' containers do not start"; return; }
  for name in "${demo_services[@]}"; do
    id=$(containers "$name")
    until
      state=$(docker inspect -f '{{.State.Status}} {{.State.Health.Status}}' "${id:-none}" 2>&1) &&
        [[ $state == "running healthy" ]]
    do
      if [[ $state != running* ]] || ((SECONDS > deadline)); then
        compose --profile demo logs --no-color --tail=20 "$name" >&2 || true
        fail "$name is not healthy: $state"
        return
      fi
      sleep 0.2
    done
    printf '%s %s\n' "$name" "$id"
  done
  printf 'address %s\n' "$(docker port "$(containers gateway)" 8080/tcp | head -n 1)"
}

# Stops the parts that this demo, or an ended one, has started: the services if requested, and the brokers.
demo_down() {
  local name starter
  local -a ids=()
  if [[ ${1:-} == services ]]; then
    for name in "${demo_services[@]}"; do
      mapfile -t -O "${#ids[@]}" ids < <(containers "$name" --all)
    done
    ((${#ids[@]} == 0)) || docker rm --force "${ids[@]}" >/dev/null
  fi
  if [[ -e $started ]]; then
    starter=$(<"$started")
    [[ $starter == "$PPID" ]] || ! kill -0 "$starter" 2>/dev/null || return 0
    stack_down
    rm -f "$started"
  fi
}

case ${1:-} in
  brokers) demo_brokers ;;
  image) demo_image "$2" ;;
  up) demo_up ;;
  down) demo_down "${2:-}" ;;
  *) fail "usage: demo.sh brokers|image PROGRAM|up|down [services]" ;;
esac
