#!/usr/bin/env bash
# Makes a Docker engine available: docker.sh up | down
#
# The engine that is there is used as it is. Only where there is none, one is installed (root, Debian). One that was
# started here is stopped by `down`, which is safe to call from a trap at any time.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

engine_pid_file=$state_dir/dockerd.pid

engine_answers() { timeout 20 docker info --format '{{.ServerVersion}}' >/dev/null 2>&1; }

docker_up() {
  local begin=$SECONDS
  if have docker && engine_answers; then
    say "docker engine $(docker info --format '{{.ServerVersion}}'), already running"
  elif [[ -n ${DOCKER_HOST:-} ]]; then
    fail "DOCKER_HOST is set, but no engine answers there"
    return
  else
    { have dockerd && have docker && have iptables; } || install_packages docker.io iptables || return
    start_engine || return
    say "docker engine $(docker info --format '{{.ServerVersion}}'), started in $((SECONDS - begin)) s"
  fi
  docker compose version >/dev/null 2>&1 || have docker-compose || install_packages docker-compose
}

start_engine() {
  [[ $(id -u) == 0 ]] || { fail "no Docker engine answers, and only root can start one"; return; }
  # In a session of its own, so that Ctrl-C reaches the script's trap and not the engine under its feet; with no open file
  # of the caller but its log, so that nothing waits for it.
  # shellcheck disable=SC2016 # expanded by the inner shell
  setsid bash -c 'for fd in /proc/self/fd/*; do fd=${fd##*/}; (( fd > 2 )) && eval "exec $fd>&-" || true; done
    exec dockerd --pidfile "$1"' _ "$engine_pid_file" </dev/null >"$state_dir/dockerd.log" 2>&1 &
  local started=$!
  local _
  for _ in $(seq 60); do
    engine_answers && return
    if ! kill -0 "$started" 2>/dev/null && [[ ! -s $engine_pid_file ]]; then break; fi
    sleep 0.5
  done
  tail -n 20 "$state_dir/dockerd.log" >&2
  docker_down
  fail "dockerd did not start; its log is $state_dir/dockerd.log"
}

# Stops the engine if, and only if, docker_up started it.
docker_down() {
  [[ -s $engine_pid_file ]] || return 0
  local pid
  pid=$(<"$engine_pid_file")
  if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == dockerd ]]; then
    kill "$pid"
    local _
    for _ in $(seq 60); do
      [[ -d /proc/$pid ]] || break
      sleep 0.5
    done
    [[ -d /proc/$pid ]] && fail "dockerd ($pid) does not stop"
    say "docker engine stopped"
  fi
  rm -f "$engine_pid_file"
}

# Compose as a plugin or as a program of its own, always on this project's file.
compose() {
  local -a command=(docker compose)
  docker compose version >/dev/null 2>&1 || command=(docker-compose)
  COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-propagation} "${command[@]}" -f "$suite_dir/compose.yaml" "$@"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  case ${1:-} in
    up) docker_up ;;
    down) docker_down ;;
    *) fail "usage: docker.sh up|down" ;;
  esac
fi
