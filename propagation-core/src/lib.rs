#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! The root has the main types of each theme: those that applications and adapters name, and those in the signatures of [`Extract`],
//! [`Inject`] and [`Bridge`]. The module of a theme has the rest: implementations, options, parts and errors.
//!
//! | Module | Contents |
//! |---|---|
//! | [`model`] | ids, `traceparent`, `tracestate`, baggage, contexts, sampling decision |
//! | [`carrier`] | carriers for maps, environment variables and stored strings; fields; the laws of carriers |
//! | [`format`](mod@format) | one type for each wire format |
//! | [`hop`] | descriptions of hops, running hops, attributes, outcomes |
//! | [`policy`] | rules for trust, baggage and scrubbing; explanations, warnings and errors |
//! | [`bridge`] | the seam to the application's tracing API |
//! | [`messaging`] | sending, receiving, processing and settling messages |
//! | [`task`] | the current context in tasks, threads and streams |
//! | [`semconv`] | names of attributes, by the semantic conventions |
//! | `reload` | a policy file that is read again while the program runs |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod bridge;
pub mod carrier;
mod escape;
pub mod format;
mod glob;
mod hex;
pub mod hop;
pub mod messaging;
pub mod model;
mod octets;
mod peer;
pub mod policy;
mod propagator;
mod rejection;
#[cfg(feature = "reload")]
pub mod reload;
pub mod semconv;
pub mod task;

pub use bridge::{Bridge, NoBridge};
pub use carrier::{Extract, FieldName, FieldNames, Inject, InjectionReport, OutgoingFields, StoredContext, Value};
pub use escape::{EscapedText, cut as truncate_text};
pub use format::{Format, Formats};
pub use glob::Glob;
pub use hop::{Attribute, AttributeValue, Exception, ExternalText, Hop, HopSpan, Link, Outcome, SpanKind};
pub use model::{
    Baggage, PropagationContext, RejectReason, SamplingDecision, SpanId, TraceContext, TraceFlags, TraceId,
    TraceParent, TraceState,
};
pub use peer::{Peer, Transport};
pub use policy::{Admission, InboundRule, KeyRule, OutboundRule, Policy, Scrub, TraceTrust};
pub use propagation_scrub as scrub;
pub use propagator::{Counters, PolicyGuard, Propagator, PropagatorBuilder};
pub use rejection::{Direction, Rejection};
#[cfg(feature = "reload")]
pub use reload::Reload;

// Names that several modules of the crate use.
pub(crate) use carrier::{DuplicateParent, Field, FieldPriority};
pub(crate) use format::Extracted;
pub(crate) use hop::{GuardLeaks, TelemetryLimits, TextGuard};
pub(crate) use model::{FieldValue, Member, SamplingPriority};
pub(crate) use policy::{PolicyError, PolicySink};
