//! The order-shop demo and one small program per journey.

pub mod conformance;
