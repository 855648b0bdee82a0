//! The public API, over real sockets where the wire matters.

mod attributes;
mod carrier;
mod client_rules;
mod filters;
mod hops;
mod merge;
mod metrics;
mod names;
mod own_values;
mod redirect;
mod reqwest;
mod retries;
mod server;
mod telemetry;
mod tower_redirect;
mod tree;
mod upgrades;
mod wire;
