//! The public API, over real sockets where the wire matters.

mod attributes;
mod carrier;
mod client_rules;
mod hops;
mod merge;
mod metrics;
mod names;
mod redirect;
mod reqwest;
mod server;
mod telemetry;
mod tower_redirect;
mod tree;
mod wire;
