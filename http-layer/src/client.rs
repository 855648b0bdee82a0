//! The client layer.

mod caller;
mod classify;
mod layer;
#[cfg(any(feature = "reqwest-0-13", feature = "tower-http-0-6"))]
mod redirects;
mod request_options;
mod resend;
mod service;
pub(crate) mod switches;
mod target;

pub use caller::{CallerContext, CallerContextLayer, WithCallerContext};
pub use classify::ClientClassifier;
pub use layer::ClientPropagationLayer;
pub(crate) use layer::Options;
#[cfg(any(feature = "reqwest-0-13", feature = "tower-http-0-6"))]
pub(crate) use redirects::{Report, releases_less};
pub use request_options::RequestOptions;
pub use resend::{ResendCount, ResendCountLayer, WithResendCount};
pub use service::ClientPropagation;
pub(crate) use target::Target;
