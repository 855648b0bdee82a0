//! W3C trace context and baggage with allow-lists, trust rules and scrubbing: the core of the propagation crates.
