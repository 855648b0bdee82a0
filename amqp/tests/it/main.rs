//! The public API, over a loopback endpoint that speaks AMQP 0-9-1 to the real client.

mod carrier;
mod forward;
mod hops;
mod journey;
mod metrics;
mod nesting;
mod poison;
mod shop;
