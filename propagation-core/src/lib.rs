#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod baggage;
pub mod bridge;
mod carrier;
mod context;
mod counters;
mod current;
mod error_type;
mod escape;
mod exception;
mod exports;
mod field;
mod flags;
mod format;
mod glob;
mod hex;
mod hop;
mod id;
mod list_header;
pub mod messaging;
mod octets;
mod origin;
mod peer;
mod policy;
mod propagator;
mod rejection;
#[cfg(feature = "reload")]
mod reload;
mod report;
mod sampling;
pub mod task;
mod traceparent;
mod tracestate;
mod value;

pub use baggage::{Baggage, BaggageError, Member};
pub use bridge::{Bridge, NoBridge};
pub use carrier::{
    EnvironmentCarrier, Extract, Inject, InjectionReport, StoredContext, StoredContextError, laws as carrier_laws,
};
pub use context::{PropagationContext, TraceContext};
pub use counters::{Counters, Direction};
pub use current::{GuardLeaks, HopSpan, Scope};
pub use error_type::{dyn_error_type, error_type};
pub use escape::EscapedText;
pub use exception::Exception;
pub use exports::{FailedExport, failed_exports, record_failed_export};
pub use field::{Field, FieldName, FieldPriority, OutgoingFields, Value};
pub use flags::TraceFlags;
pub use format::{
    B3Format, BaggageFormat, DatadogFormat, DuplicateParent, Extracted, Format, Formats, FormatsError,
    GoogleCloudFormat, GrpcTraceBinFormat, JaegerFormat, TraceContextFormat, XRayFormat,
};
pub use glob::Glob;
pub use hop::{Attribute, AttributeValue, ExternalText, Hop, Outcome, SpanKind, TelemetryLimits, TextGuard};
pub use id::{SpanId, SpanIdError, TraceId, TraceIdError};
pub use peer::{Peer, Transport};
pub use policy::{
    Admission, Decision, ExistingOutsideHops, ExplainedField, Explanation, InboundRule, KeyRule, Loosening,
    OutboundRule, PeerNaming, Policy, PolicyBuilder, PolicyError, PolicySink, PolicyWarning, PolicyWarningKind,
    Pseudonymizer, Release, RuleLocation, RulePart, Scrub, ScrubAction, TraceStateRule, TraceTrust, UnknownProfile,
};
#[cfg(feature = "policy-file")]
pub use policy::{PolicyFileError, PolicyFileErrorKind, PolicyFileWarning};
pub use propagation_scrub as scrub;
pub use propagator::{Propagator, PropagatorBuilder};
pub use rejection::{RejectReason, Rejection};
#[cfg(feature = "reload")]
pub use reload::{Reload, ReloadThread};
pub use sampling::{SamplingDecision, SamplingPriority};
pub use traceparent::{TraceParent, TraceParentError};
pub use tracestate::{TraceState, TraceStateError, ot};
pub use value::FieldValue;
