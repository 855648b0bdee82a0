//! Samplers for OpenTelemetry's SDK 0.33: consistent probability, by rules, by links, by rate.
//!
//! Each part is a [`ComposableSampler`] that returns the [`Threshold`] with which it would sample a span. The [`CompositeSampler`] around
//! all of them decides once, with the trace's randomness, and writes the threshold to tracestate (OpenTelemetry, SDK,
//! "CompositeSampler"). Parts can be nested in any way, and the propagated `th` is correct.
//!
//! ```
//! use propagation_opentelemetry::sampling::{AlwaysOff, AlwaysOn, CompositeSampler, Probability, Rule, RuleBased};
//!
//! let rules = RuleBased::new()
//!     .rule(Rule::new().route("/health*"), AlwaysOff)
//!     .rule(Rule::new().error(), AlwaysOn)
//!     .rule(Rule::new().priority(), AlwaysOn)
//!     .otherwise(Probability::new(0.1)?);
//! let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
//!     .with_sampler(CompositeSampler::parent_based(rules))
//!     .build();
//! # let _ = provider;
//! # Ok::<(), propagation_opentelemetry::sampling::SamplerError>(())
//! ```
//!
//! | To sample | Use |
//! |---|---|
//! | the traces that the caller samples | [`ParentThreshold`] around any of these |
//! | a share of all traces | [`Probability`] |
//! | a share that depends on the route, the kind, an attribute | [`RuleBased`] |
//! | batches any message of which is sampled | [`LinksBased`] |
//! | about this number of traces a second, as an unbiased sample | [`Adaptive`] |
//! | at most this number of traces a second | [`RateLimited`] |
//! | failed spans, even of traces that are not sampled | [`Recording`] around the whole, and the processor [`KeepErrors`] |
//!
//! Don't put a [`CompositeSampler`] into the SDK's `Sampler::ParentBased`: that keeps the decision and loses the tracestate.

mod adaptive;
mod basic;
mod clock;
mod composable;
mod composite;
mod errors;
mod limited;
mod links;
mod member;
mod parent;
mod rule;
mod rules;
mod threshold;

pub use adaptive::Adaptive;
pub use basic::{AlwaysOff, AlwaysOn, Annotating, Probability, SdkSampler};
pub use composable::{ComposableSampler, NewSpan, SamplingIntent};
pub use composite::CompositeSampler;
pub use errors::{KeepErrors, Recording};
pub use limited::RateLimited;
pub use links::LinksBased;
pub use parent::ParentThreshold;
pub use rule::Rule;
pub use rules::RuleBased;
pub use threshold::{Randomness, SamplerError, Threshold};
