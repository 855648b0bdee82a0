//! The order-shop demo and one small program per journey.

pub mod conformance;

/// Compiles the examples of the repository's pages.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/compare-opentelemetry-sdk.md")]
    mod compare_opentelemetry_sdk {}
    #[doc = include_str!("../../docs/policy.md")]
    mod policy {}
    #[doc = include_str!("../../docs/sampling.md")]
    mod sampling {}
    #[doc = include_str!("../../docs/telemetry.md")]
    mod telemetry {}
}
