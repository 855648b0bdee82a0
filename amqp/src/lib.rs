//! Carries trace context and allowed baggage over RabbitMQ, for lapin.
