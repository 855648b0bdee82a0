//! The conformance service for black-box suites.
//!
//! `POST /{profile}` with a JSON list of `{"url": …, "arguments": […]}` makes it call each URL in order, with the context of the
//! request injected in the profile's format. It is a service like any other, made of the same layers: nothing here knows a header.

mod profile;
mod service;

pub use profile::Profile;
pub use service::{router, serve};
