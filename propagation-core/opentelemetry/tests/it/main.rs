//! The public API with the real SDK.

mod bridges;
mod formats_bridge;
mod formats_differential;
mod forwarding;
mod left_behind;
mod logs;
mod logs_of;
mod messaging;
mod metrics;
mod otel_propagator;
mod other_layers;
mod outcomes;
mod random_flag;
mod received_ids;
mod sampling;
mod settling;
mod side_by_side;
mod start_up;
mod strategies;
mod tasks;
mod thread_end;
mod wire;
