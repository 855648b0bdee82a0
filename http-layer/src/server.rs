//! The server layer.

mod address;
mod classify;
mod forwarded;
mod layer;
mod proxies;
mod response_ids;
mod service;

pub use address::PeerAddress;
pub use classify::ServerClassifier;
pub use layer::ServerPropagationLayer;
pub use proxies::{ForwardingHeader, TrustedProxies};
pub use service::ServerPropagation;
