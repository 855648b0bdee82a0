#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod bridge;
mod carrier;
mod escape;
mod format;
mod glob;
mod hex;
mod hop;
pub mod messaging;
mod model;
mod octets;
mod peer;
mod policy;
mod propagator;
mod rejection;
#[cfg(feature = "reload")]
mod reload;
pub mod semconv;
pub mod task;

pub use bridge::{Bridge, NoBridge, failed_exports, record_failed_export};
pub use carrier::{
    DuplicateParent, EnvironmentCarrier, Extract, Field, FieldName, FieldNames, FieldPriority, Inject, InjectionReport,
    OutgoingFields, StoredContext, StoredContextError, laws as carrier_laws,
};
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use carrier::{JsonCarrier, JsonCarrierMut};
pub use escape::EscapedText;
pub use format::{
    B3Format, BaggageFormat, DatadogFormat, Extracted, Format, Formats, FormatsError, GoogleCloudFormat,
    GrpcTraceBinFormat, JaegerFormat, TraceContextFormat, XRayFormat,
};
pub use glob::Glob;
pub use hop::{
    Attribute, AttributeValue, Exception, ExternalText, GuardLeaks, Hop, HopSpan, Link, Outcome, Scope, SpanKind,
    TelemetryLimits, TextGuard, dyn_error_type, error_type,
};
pub use model::{
    Baggage, BaggageError, FieldValue, Member, PropagationContext, RejectReason, SamplingDecision, SamplingPriority,
    SpanId, SpanIdError, TraceContext, TraceFlags, TraceId, TraceIdError, TraceParent, TraceParentError, TraceState,
    TraceStateError, Value, ot,
};
pub use peer::{Peer, Transport};
pub use policy::{
    Admission, Decision, ExistingOutsideHops, ExplainedField, Explanation, InboundRule, KeyRule, Loosening,
    OutboundRule, PeerNaming, Policy, PolicyBuilder, PolicyError, PolicySink, PolicyWarning, PolicyWarningKind,
    Pseudonymizer, Release, RuleLocation, RulePart, Scrub, ScrubAction, TraceStateRule, TraceTrust, UnknownProfile,
};
#[cfg(feature = "policy-file")]
pub use policy::{PolicyFileError, PolicyFileErrorKind, PolicyFileWarning};
pub use propagation_scrub as scrub;
pub use propagator::{Counters, Propagator, PropagatorBuilder};
pub use rejection::{Direction, Rejection};
#[cfg(feature = "reload")]
pub use reload::{Reload, ReloadThread};
