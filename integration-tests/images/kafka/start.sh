#!/bin/bash
# Starts one KRaft node from KAFKA_* variables, by the same wrapper that the official image runs.
set -euo pipefail

export CLUSTER_ID="${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}"

# It also formats the storage, and fails where that was done already: at each start but the first.
if ! said=$(java -cp '/opt/kafka/libs/*' kafka.docker.KafkaDockerWrapper setup \
  --default-configs-dir /etc/kafka/docker \
  --mounted-configs-dir /mnt/shared/config \
  --final-configs-dir /opt/kafka/config 2>&1) && [[ $said != *"already formatted"* ]]; then
  printf '%s\n' "$said" >&2
  exit 1
fi

# shellcheck disable=SC2086 # the options are words by intention
exec java ${KAFKA_HEAP_OPTS:--Xms128m -Xmx384m} ${KAFKA_OPTS:-} \
  -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml \
  -cp '/opt/kafka/libs/*' kafka.Kafka /opt/kafka/config/server.properties
