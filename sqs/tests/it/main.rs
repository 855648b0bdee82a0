//! The public API of `propagation-sqs`, on the real SDK and the loopback endpoint.

mod carrier;
mod consumer;
mod covered;
#[cfg(feature = "envelopes")]
mod envelopes;
mod failures;
mod forward;
mod hops;
mod metrics;
mod modes;
#[cfg(all(feature = "envelopes", feature = "eventbridge", feature = "sns"))]
mod notifications;
mod properties;
mod setup;
mod spans;
mod trace_header;
mod wire;
