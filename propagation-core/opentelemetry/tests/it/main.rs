//! The public API with the real SDK.

mod baggage_map;
mod bridges;
mod formats_bridge;
mod formats_differential;
mod forwarding;
mod idle;
mod left_behind;
mod logs;
mod logs_of;
mod messaging;
mod metrics;
mod other_layers;
mod outcomes;
mod propagator;
mod random_flag;
mod received_ids;
mod sampling;
mod settling;
mod setup;
mod side_by_side;
mod strategies;
mod tasks;
mod thread_end;
mod wire;
