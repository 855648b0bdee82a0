"""A service in another language, for the middle of a trace: OpenTelemetry's own Python SDK, propagators and
instrumentations between two transports. It takes a message from one and passes it on by another."""
