//! The public API, over a real tonic server and channel.

mod calls;
mod carrier;
mod echo;
mod hops;
mod metrics;
