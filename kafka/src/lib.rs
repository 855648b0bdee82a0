//! Carries trace context and allowed baggage over Kafka, for rdkafka.
