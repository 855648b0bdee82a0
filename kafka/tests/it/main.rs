//! The public API, over librdkafka's own mock cluster: its protocol, in this process.

mod carrier;
mod consume;
mod hops;
mod poison;
mod produce;
mod shop;
mod size;
mod threaded;
mod transaction;
