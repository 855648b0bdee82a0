//! The server layer.

mod address;
mod classify;
mod layer;
mod service;

pub use address::{PeerAddress, TrustedProxies};
pub use classify::ServerClassifier;
pub use layer::ServerPropagationLayer;
pub use service::ServerPropagation;
