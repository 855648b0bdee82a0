//! The server's side.

mod classify;
mod layer;
mod service;

use std::net::IpAddr;

pub use layer::ServerPropagationLayer;
pub use service::ServerPropagation;

/// The address that a connection comes from, as a request extension: for servers that are not axum's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);
