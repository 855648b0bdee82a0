//! The public API, as a user sees it.

mod bridges;
mod carriers;
mod corpus;
mod current;
mod formats;
mod formats_bridge;
mod guard;
mod messaging;
mod otel_propagator;
mod policy;
mod properties;
mod wire;
