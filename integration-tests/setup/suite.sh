#!/usr/bin/env bash
# The suite on real brokers: an engine, images, the stack, the tests and the demo on it; leaves nothing running.
# Where there is no engine and none can be installed, it fails.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$suite_dir/.."

clean_up() {
  [[ -z ${jaeger:-} ]] || kill -- "-$jaeger" 2>/dev/null || true
  "$setup_dir/stack.sh" down || true
  "$setup_dir/docker.sh" down || true
}
trap clean_up EXIT

export COMPOSE_PROFILES=ui,nats DECISION_WAIT=${DECISION_WAIT:-5s} COLLECTOR_EXPORT=${COLLECTOR_EXPORT:-ui}
"$setup_dir/docker.sh" up
"$setup_dir/images.sh"
# In a process group of its own, with its compilers.
setsid "$setup_dir/images.sh" jaeger >/dev/null & jaeger=$!
"$setup_dir/stack.sh" up
PROPAGATION_PYTHON=$("$setup_dir/python.sh")
export PROPAGATION_PYTHON
# shellcheck source=/dev/null
source "$state_dir/stack.env"

passed=0 failed=0
failures=()
check() { # NAME COMMAND…
  local name=$1 log=$state_dir/check-$((passed + failed + 1)).log
  shift
  if "$@" > >(tee "$log") 2>&1; then
    passed=$((passed + 1))
    say "$name: ok"
  else
    failed=$((failed + 1))
    say "$name: FAILED"
    "$setup_dir/stack.sh" logs >"$log.stack" 2>&1 || true
    failures+=("$name" "$log")
  fi
}

# explain NAME LOG: why the tests of a check failed, and the last warnings of the brokers. Short: CI shows the end of the output only.
explain() {
  say "$1: $2"
  local broker panics
  # A panic's place and message, without its backtrace.
  panics=$(awk '/^thread .* panicked at / { left = 6 } /^(stack backtrace:|note: )/ { left = 0 } left-- > 0' "$2")
  [[ -n $panics ]] || panics=$(tail -n 8 "$2")
  cut -c1-300 <<<"$panics" | sed -n 1,25p
  for broker in kafka rabbitmq elasticmq; do
    # The health check closes its connections without a handshake.
    grep -aE "^$broker[-_].*(warn|error|fatal|WARN|ERROR|FATAL)" "$2.stack" \
      | grep -av -e 'closing AMQP connection' -e 'unexpectedly closed TCP' | tail -n 4 | cut -c1-200 || true
  done
}

brokers=(cargo test -p propagation-testkit --all-features --test brokers --)
# Requests of many tests at once to one broker must not time out on two cores.
check "contracts, Collector, Zipkin" "${brokers[@]}" --test-threads 4 --skip jaeger::
# Outside of the workspace, as a user would write it.
check "an adapter of a user's own, on NATS" env CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}" \
  cargo test --manifest-path examples/nats/Cargo.toml --test broker -- --ignored
journeys=(cargo test -p propagation-testkit --all-features --test journeys --)
check "journeys, Python, faults, canaries" "${journeys[@]}" --test-threads 3 --skip restarts:: --skip demo:: --skip loads::
check "demo in containers, on real brokers" "${journeys[@]}" --test-threads 1 demo::
# The Collector may have waited for Jaeger, longer with each attempt; started again, it begins anew.
with_jaeger() {
  wait "$jaeger" || return
  jaeger=
  "$setup_dir/stack.sh" up && "$setup_dir/stack.sh" restart collector || return
  # shellcheck source=/dev/null
  source "$state_dir/stack.env"
  "${brokers[@]}" --test-threads 1 jaeger::
}
check "Jaeger" with_jaeger
"$setup_dir/stack.sh" versions | tee "$state_dir/versions.txt"
check "throughput with and without the wrappers" "${journeys[@]}" --test-threads 1 --nocapture loads::
# Takes the brokers away, so last and one at a time.
check "restarts" "${journeys[@]}" --test-threads 1 restarts::
for ((at = 0; at < ${#failures[@]}; at += 2)); do explain "${failures[@]:at:2}"; done
echo "checks: $passed passed, $failed failed"
((failed == 0))
