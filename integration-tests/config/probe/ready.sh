#!/usr/bin/env bash
# Asks each part of the stack a question in its own protocol, with bash and coreutils alone. Names the first that fails.
set -euo pipefail

# The first bytes, as hex, that HOST:PORT answers to a request given in printf's notation.
answer() {
  local host=$1 port=$2 request=$3 bytes=$4
  # shellcheck disable=SC2016 # expanded by the inner shell
  timeout 3 bash -c '
    exec 3<>"/dev/tcp/$0/$1" || exit 1
    printf "$2" >&3
    head -c "$3" <&3 | od -An -v -tx1 | tr -d " \n"
  ' "$host" "$port" "$request" "$bytes" 2>/dev/null || true
}

expect() {
  local name=$1 got=$2 wanted=$3
  # shellcheck disable=SC2053 # a pattern by intention
  if [[ $got != $wanted ]]; then
    echo "not ready: $name (answered '$got')"
    exit 1
  fi
}

http() {
  answer "$1" "$2" "GET $3 HTTP/1.1\r\nHost: $1:$2\r\nConnection: close\r\n\r\n" 12
}

ok=485454502f312e3120323030 # "HTTP/1.1 200"

# ApiVersions, version 0, correlation id 1: the answer repeats the id and has no error.
expect kafka "$(answer kafka 19092 '\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff' 10)" '????????000000010000'
# The protocol header is answered by a method frame on channel 0.
expect rabbitmq "$(answer rabbitmq 5672 'AMQP\x00\x00\x09\x01' 3)" 010000
expect rabbitmq-management "$(http rabbitmq 15672 /)" "$ok"
expect elasticmq "$(http elasticmq 9324 /health)" "$ok"
expect collector "$(http collector 13133 /)" "$ok"
[[ -S /sockets/otlp.sock ]] || { echo "not ready: relay (no socket)"; exit 1; }
echo ready
