#!/usr/bin/env bash
# The brokers and the Collector: stack.sh up [service…] | wait | versions | logs [service…] | restart SERVICE | kill SERVICE | down
#
# Needs an engine (docker.sh up) and the image variables (images.sh). COMPOSE_PROFILES=ui adds the trace backends, nats a NATS server.
set -euo pipefail
# shellcheck source=docker.sh
source "$(dirname "${BASH_SOURCE[0]}")/docker.sh"

# In seconds, from `up` to healthy.
healthy_limit=${HEALTHY_LIMIT:-180}

# Where the demo's and the tests' clients find the parts; written for them, and printed by `up`.
stack_env=$state_dir/stack.env

if [[ -s $state_dir/images.env ]]; then
  # shellcheck source=/dev/null
  source "$state_dir/images.env"
fi

container() { compose ps -q "$1" 2>/dev/null; }

# The services to start. Compose 1 lists those of every profile, and starts a profile's service when it is named, so the
# profile is checked here; and Jaeger may have no image yet.
services() {
  local name ui=no
  [[ ,${COMPOSE_PROFILES:-}, == *,ui,* ]] && ui=yes
  compose config --services | while read -r name; do
    case $name in
      # The demo starts its own.
      gateway | orders | payments | shipping | notifications) continue ;;
      nats) [[ ,${COMPOSE_PROFILES:-}, == *,nats,* ]] || continue ;;
      zipkin) [[ $ui == yes ]] || continue ;;
      jaeger)
        [[ $ui == yes ]] || continue
        # Not built yet: `images.sh jaeger`, then `stack.sh up jaeger`.
        [[ -n ${JAEGER_IMAGE:-} || ${IMAGES_FROM:-official} == official ]] || continue
        ;;
    esac
    printf '%s\n' "$name"
  done
}

stack_up() {
  local begin=$SECONDS
  local -a names
  if (($#)); then names=("$@"); else mapfile -t names < <(services); fi
  compose up -d "${names[@]}" >"$state_dir/up.log" 2>&1 || { tail -n 20 "$state_dir/up.log" >&2; fail "compose up failed"; return; }
  stack_wait || return
  write_stack_env
  say "the stack is healthy after $((SECONDS - begin)) s"
  echo "$stack_env"
}

# Polls, because `up --wait` is not in every Compose.
stack_wait() {
  local ready nats zipkin jaeger answer deadline=$((SECONDS + healthy_limit))
  ready=$(container ready)
  nats=$(container nats || true)
  zipkin=$(container zipkin || true)
  jaeger=$(container jaeger || true)
  [[ -n $ready ]] || { fail "the stack is not up"; return; }
  while ((SECONDS < deadline)); do
    answer=$(docker exec "$ready" bash /probe/ready.sh 2>&1) || true
    if [[ $answer == ready ]]; then
      if [[ -n $nats && -z $(nats_version) ]]; then
        answer="not ready: nats"
      elif [[ -n $zipkin && $(fetch "${ZIPKIN_PORT:-9411}" /health) != "HTTP/1.1 200"* ]]; then
        answer="not ready: zipkin"
      elif [[ -n $jaeger && $(fetch "${JAEGER_PORT:-16686}" /api/services) != "HTTP/1.1 200"* ]]; then
        answer="not ready: jaeger"
      else
        return 0
      fi
    fi
    sleep 1
  done
  compose ps >&2 || true
  compose logs --tail=30 >"$state_dir/stack.log" 2>&1 || true
  fail "after $healthy_limit s: $answer; logs are in $state_dir/stack.log"
}

write_stack_env() {
  cat >"$stack_env" <<END
export KAFKA_BROKERS=localhost:${KAFKA_PORT:-9092}
export AMQP_URL=amqp://guest:guest@127.0.0.1:${RABBITMQ_PORT:-5672}/%2f
export RABBITMQ_MANAGEMENT_URL=http://127.0.0.1:${RABBITMQ_MANAGEMENT_PORT:-15672}
export SQS_ENDPOINT_URL=http://127.0.0.1:${ELASTICMQ_PORT:-9324}
export COLLECTOR_OTLP_GRPC=http://127.0.0.1:${COLLECTOR_GRPC_PORT:-4317}
export COLLECTOR_OTLP_HTTP=http://127.0.0.1:${COLLECTOR_HTTP_PORT:-4318}
export COLLECTOR_RETURN=${RETURN_ENDPOINT:-http://127.0.0.1:14318}
END
  if [[ -n $(container nats) ]]; then
    echo "export NATS_URL=nats://127.0.0.1:${NATS_PORT:-4222}" >>"$stack_env"
  fi
  if [[ -n $(container zipkin) ]]; then
    echo "export ZIPKIN_URL=http://127.0.0.1:${ZIPKIN_PORT:-9411}" >>"$stack_env"
  fi
  if [[ -n $(container jaeger) ]]; then
    echo "export JAEGER_URL=http://127.0.0.1:${JAEGER_PORT:-16686}" >>"$stack_env"
    echo "export JAEGER_OTLP_GRPC=http://127.0.0.1:${JAEGER_OTLP_PORT:-14317}" >>"$stack_env"
  fi
}

# stack_again restart|kill SERVICE: stops it, gracefully or at once, and starts it again with its disk.
stack_again() {
  local id
  id=$(container "$2")
  [[ -n $id ]] || { fail "$2 is not up"; return; }
  case $1 in
    restart) docker stop --time 30 "$id" ;;
    kill) docker kill --signal KILL "$id" ;;
  esac >/dev/null
  docker start "$id" >/dev/null
  stack_wait
}

# Prints each broker's reported version and its image.
stack_versions() {
  local id name image version
  compose ps -q | while read -r id; do
    name=$(docker inspect -f '{{index .Config.Labels "com.docker.compose.service"}}' "$id")
    image=$(docker inspect -f '{{.Config.Image}}' "$id")
    case $name in
      kafka) version=$(logged "$id" 's/.*Kafka version: \([^ ]*\).*/\1/p') ;;
      elasticmq) version=$(logged "$id" 's/.*Starting ElasticMQ server (\([^)]*\)).*/\1/p') ;;
      collector) version=$(logged "$id" 's/.*"Version": "\([^"]*\)".*/\1/p') ;;
      # guest:guest
      rabbitmq) version=$(fetch "${RABBITMQ_MANAGEMENT_PORT:-15672}" /api/overview 'Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=' |
        sed -n 's/.*"rabbitmq_version":"\([^"]*\)".*/\1/p') ;;
      zipkin) version=$(fetch "${ZIPKIN_PORT:-9411}" /info | sed -n 's/.*"version":"\([^"]*\)".*/\1/p') ;;
      nats) version=$(nats_version) ;;
      jaeger) version=$(sed 's/.*:\([0-9.]*\).*/\1/' <<<"$image") ;;
      *) continue ;;
    esac
    printf '%-10s %-9s %s\n' "$name" "${version:-unknown}" "$image"
  done | sort
}

logged() { docker logs "$1" 2>&1 | sed -n "$2" | tail -n 1; }

# fetch PORT PATH [HEADER]: an HTTP answer, headers included, with bash alone.
fetch() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  timeout 5 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$0" || exit 1
    printf "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n\r\n" "$1" "${2:-X-Nothing: 1}" >&3
    cat <&3
  ' "$@" 2>/dev/null || true
}

# The version in the first line that the server writes to a client.
nats_version() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  { timeout 5 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" && head -n 1 <&3' "${NATS_PORT:-4222}" 2>/dev/null || true; } |
    sed -n 's/^INFO .*"version":"\([^"]*\)".*/\1/p'
}

stack_down() {
  compose --profile ui --profile demo --profile nats down --volumes --remove-orphans --timeout 5 >"$state_dir/down.log" 2>&1 ||
    { tail -n 5 "$state_dir/down.log" >&2; fail "compose down failed"; return; }
  rm -f "$stack_env"
  say "the stack is down"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  verb=${1:-}
  shift || true
  case $verb in
    up) stack_up "$@" ;;
    wait) stack_wait ;;
    versions) stack_versions ;;
    logs) compose logs --no-color "$@" ;;
    restart | kill) stack_again "$verb" "${1:-}" ;;
    down) stack_down ;;
    *) fail "usage: stack.sh up|wait|versions|logs|restart|kill|down" ;;
  esac
fi
