//! The public API, over real sockets where the wire matters.

mod carrier;
mod redirect;
mod server;
mod telemetry;
mod tree;
