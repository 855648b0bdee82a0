//! Tests of the public API.

mod carriers;
mod corpus;
mod current;
mod edge;
mod events;
mod formats;
mod gate;
#[cfg(feature = "policy-file")]
mod guard;
mod own_values;
mod peers;
mod policy;
mod properties;
mod semconv;
mod wire;
