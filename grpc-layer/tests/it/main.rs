//! The public API, over a real tonic server and channel.

mod calls;
mod carrier;
mod echo;
mod endings;
mod forward;
mod hops;
mod metrics;
mod names;
mod neighbours;
mod options;
mod telemetry;
