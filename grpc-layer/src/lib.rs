//! Carries trace context and allowed baggage over gRPC: tower layers for tonic and an interceptor.
