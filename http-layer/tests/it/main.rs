//! The public API, over real sockets where the wire matters.

mod attributes;
mod carrier;
mod hops;
mod metrics;
mod redirect;
mod reqwest;
mod server;
mod telemetry;
mod tree;
mod wire;
