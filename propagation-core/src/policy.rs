//! The policy: whom to believe, and who may learn what. Judgement only; a policy never sees a carrier.

mod admit;
mod builder;
mod glob;
mod key_rule;
mod release;
mod rule;

pub use admit::Admission;
pub use builder::{PolicyBuilder, PolicyError};
pub use key_rule::KeyRule;
pub use release::Release;
pub use rule::{InboundRule, OutboundRule, StateRule, Trust};

/// Rules for what may come in and what may go out, compiled once.
///
/// Rules are tried in order; the first one that matches the peer decides. A peer that no rule matches gets the defaults:
/// inbound its trace context is trusted and its baggage is not; outbound it gets trace context and no baggage.
///
/// `Policy::default()` is those defaults alone. A service that faces the internet chooses [`Policy::edge`].
///
/// ```
/// use propagation_core::{InboundRule, OutboundRule, Policy};
///
/// let policy = Policy::builder()
///     .inbound(InboundRule::peers(["kafka:*"]).allow("tenant.id"))
///     .outbound(OutboundRule::peers(["http:*.internal", "kafka:orders"]).allow("tenant.id").allow("feature.*"))
///     .build()?;
/// # let _ = policy;
/// # Ok::<(), propagation_core::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Policy {
    inbound: Vec<InboundRule>,
    outbound: Vec<OutboundRule>,
}

impl Policy {
    /// Starts a policy of your own.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// For a service that untrusted callers reach: over HTTP and gRPC every trace is restarted and linked to the caller's, no
    /// baggage is let in. Outbound as the default.
    #[must_use]
    pub fn edge() -> Self {
        Self {
            inbound: vec![InboundRule::peers(["http:*", "grpc:*"]).trust(Trust::RestartAndLink).named("edge")],
            outbound: Vec::new(),
        }
    }
}
