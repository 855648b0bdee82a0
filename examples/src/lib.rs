//! The order-shop demo and one small program per journey.

pub mod conformance;

/// What the repository's README shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
