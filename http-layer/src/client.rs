//! The client's side.

mod classify;
mod layer;
mod service;

pub(crate) use classify::ClientClassify;
pub use layer::ClientPropagationLayer;
pub(crate) use layer::Options;
pub use service::ClientPropagation;
