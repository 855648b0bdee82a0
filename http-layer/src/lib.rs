//! Carries trace context and allowed baggage over HTTP: tower layers, axum and reqwest.
