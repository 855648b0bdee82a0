//! The public API, as a user sees it.

mod bridges;
mod carriers;
mod corpus;
mod current;
mod edge;
mod formats;
mod formats_baggage;
mod formats_bridge;
mod formats_carriers;
mod formats_differential;
#[cfg(feature = "policy-file")]
mod guard;
mod left_behind;
mod logs;
mod messaging;
mod metrics;
mod otel_propagator;
mod peers;
mod policy;
mod properties;
mod sampling;
mod side_by_side;
mod start_up;
mod tasks;
mod wire;
