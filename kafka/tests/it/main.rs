//! The public API, over librdkafka's own mock cluster: its protocol, in this process.

mod carrier;
mod consume;
mod forward;
mod hops;
mod metrics;
mod poison;
mod produce;
mod shop;
mod size;
mod threaded;
mod transaction;
