//! The public API, as a user sees it.

mod carriers;
mod corpus;
mod current;
mod edge;
mod formats;
mod formats_baggage;
mod formats_carriers;
mod gate;
#[cfg(feature = "policy-file")]
mod guard;
mod own_values;
mod peers;
mod policy;
mod properties;
mod semconv;
mod wire;
