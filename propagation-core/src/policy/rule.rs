use std::borrow::Cow;

use super::{
    evaluate::Evaluator,
    key_rule::{KeyRule, Keys},
    peer_pattern::Peers,
    scrubbing::Scrub,
    source::SourceRule,
};
use crate::Direction;

/// The trust in a caller's trace context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceTrust {
    /// Accepts ids, sampling decision and tracestate.
    #[default]
    Full,
    /// Accepts the ids. The sampling decision is made anew, and tracestate is dropped.
    IdsOnly,
    /// Starts a new trace, linked to the caller's.
    RestartWithLink,
    /// Starts a new trace.
    Restart,
    /// Ignores the caller's trace. The rule's allow-list still applies to baggage.
    Ignore,
}

impl TraceTrust {
    /// Every level, from the most to the least trusting.
    pub const ALL: &[Self] = &[Self::Full, Self::IdsOnly, Self::RestartWithLink, Self::Restart, Self::Ignore];

    /// Returns the name in a policy file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::IdsOnly => "ids-only",
            Self::RestartWithLink => "restart-with-link",
            Self::Restart => "restart",
            Self::Ignore => "ignore",
        }
    }

    /// Returns the level of trust of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|trust| trust.as_str() == name)
    }
}

/// A rule for context that peers send. By default it accepts their trace context and drops their baggage.
///
/// ```
/// use propagation_core::{InboundRule, KeyRule, Policy, TraceTrust};
///
/// let policy = Policy::builder()
///     .inbound(InboundRule::peers(["kafka:*", "address:10.20.0.0/16"]).allow("tenant.id"))
///     .inbound(
///         InboundRule::peers(["identity:partner-*"])
///             .named("partners")
///             .trust(TraceTrust::IdsOnly)
///             .allow(KeyRule::new("plan").values(["free", "pro"])),
///     )
///     .profile("edge")?
///     .build()?;
/// # let _ = policy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct InboundRule {
    name: Cow<'static, str>,
    peers: Peers,
    trust: TraceTrust,
    keys: Keys,
    sources: Vec<SourceRule>,
    report: bool,
}

impl InboundRule {
    /// Creates a rule for peers: `transport:name`, where `*` matches any run of characters; `address:10.0.0.0/8` for callers from
    /// a range; `identity:…` for callers that the application has identified.
    #[must_use]
    pub fn peers<I: IntoIterator<Item = S>, S: AsRef<str>>(peers: I) -> Self {
        let peers = Peers::new(peers);
        Self {
            name: Cow::Owned(peers.describe()),
            peers,
            trust: TraceTrust::Full,
            keys: Keys::default(),
            sources: Vec::new(),
            report: false,
        }
    }

    /// Sets the rule's name in reports. The default is the list of its peers.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Cow::Owned(name.to_owned());
        self
    }

    /// Sets the trust in the trace context.
    #[must_use]
    pub fn trust(mut self, trust: TraceTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Allows a baggage key.
    #[must_use]
    pub fn allow(mut self, key: impl Into<KeyRule>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Switches to report mode: every key crosses, and the keys that would be blocked are reported.
    #[must_use]
    pub fn report_only(mut self) -> Self {
        self.report = true;
        self
    }

    /// Takes a baggage member from a header of the application's own, such as `x-tenant-id`.
    ///
    /// The value has to satisfy `key`, and the key's rule among [allowed](Self::allow) keys if it has one. It replaces a member that the
    /// caller sent. The key itself need not be allowed: members of the caller's `baggage` header remain blocked then.
    ///
    /// Every caller that the rule matches chooses the value. Write such rules for peers that set the header themselves or replace it.
    ///
    /// ```
    /// use propagation_core::{InboundRule, KeyRule, Policy};
    ///
    /// let gateway = InboundRule::peers(["address:10.0.0.0/8"])
    ///     .baggage_from_header("x-tenant-id", KeyRule::new("tenant.id").max_length(64))
    ///     .baggage_from_claim("plan", "user.plan");
    /// let policy = Policy::builder().inbound(gateway).build()?;
    /// # let _ = policy;
    /// # Ok::<(), propagation_core::policy::PolicyError>(())
    /// ```
    #[must_use]
    pub fn baggage_from_header(mut self, header: &str, key: impl Into<KeyRule>) -> Self {
        self.sources.push(SourceRule::header_value(header, key.into()));
        self
    }

    /// Takes a baggage member from a claim about the caller, such as one of a verified token, under the rules of
    /// [`baggage_from_header`](Self::baggage_from_header).
    ///
    /// The application supplies claims by name: see the `claims` function of the server layers, and
    /// [`Propagator::extract_with_claims`](crate::Propagator::extract_with_claims).
    #[must_use]
    pub fn baggage_from_claim(mut self, claim: &str, key: impl Into<KeyRule>) -> Self {
        self.sources.push(SourceRule::claim_value(claim, key.into()));
        self
    }

    pub(crate) fn sources(&self) -> &[SourceRule] {
        &self.sources
    }

    pub(super) fn trust_level(&self) -> TraceTrust {
        self.trust
    }

    /// Returns the keys that are copied to span attributes, with the attributes' names.
    pub(super) fn span_attributes(&self) -> impl Iterator<Item = (&KeyRule, &str)> {
        self.keys.span_attributes()
    }
}

/// The members of `tracestate` that a rule releases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceStateRule {
    /// All members.
    #[default]
    All,
    /// No member.
    None,
    /// The members of these keys.
    Keys(Vec<String>),
}

impl TraceStateRule {
    /// Returns true if a member is released.
    pub(super) fn includes(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Keys(keys) => keys.iter().any(|allowed| allowed == key),
        }
    }
}

/// A rule for context that is sent to peers. By default it releases trace context and tracestate, and no baggage.
///
/// ```
/// use propagation_core::{OutboundRule, Policy, policy::TraceStateRule};
///
/// let policy = Policy::builder()
///     .outbound(OutboundRule::peers(["http:*.internal", "kafka:orders"]).allow("tenant.id").allow("feature.*"))
///     .outbound(OutboundRule::peers(["http:api.example.com"]).trace_context(false))
///     .outbound(OutboundRule::peers(["*"]).tracestate(TraceStateRule::None))
///     .build()?;
/// # let _ = policy;
/// # Ok::<(), propagation_core::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OutboundRule {
    name: Cow<'static, str>,
    peers: Peers,
    trace_context: bool,
    state: TraceStateRule,
    keys: Keys,
    report: bool,
}

impl OutboundRule {
    /// Creates a rule for peers: `transport:name`, where `*` matches any run of characters.
    #[must_use]
    pub fn peers<I: IntoIterator<Item = S>, S: AsRef<str>>(peers: I) -> Self {
        let peers = Peers::new(peers);
        Self {
            name: Cow::Owned(peers.describe()),
            peers,
            trace_context: true,
            state: TraceStateRule::All,
            keys: Keys::default(),
            report: false,
        }
    }

    /// Sets the rule's name in reports. The default is the list of its peers.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Cow::Owned(name.to_owned());
        self
    }

    /// Sets whether the peers receive the trace context.
    #[must_use]
    pub fn trace_context(mut self, released: bool) -> Self {
        self.trace_context = released;
        self
    }

    /// Sets the members of tracestate that the peers receive.
    #[must_use]
    pub fn tracestate(mut self, state: TraceStateRule) -> Self {
        self.state = state;
        self
    }

    /// Allows a baggage key.
    #[must_use]
    pub fn allow(mut self, key: impl Into<KeyRule>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Switches to report mode: every key crosses, and the keys that would be blocked are reported.
    #[must_use]
    pub fn report_only(mut self) -> Self {
        self.report = true;
        self
    }

    pub(super) fn releases_trace(&self) -> bool {
        self.trace_context
    }

    pub(super) fn state(&self) -> &TraceStateRule {
        &self.state
    }
}

macro_rules! shared {
    ($rule:ty, $direction:expr) => {
        impl $rule {
            /// Builds the look-up of keys. Must be called after the last one was added.
            pub(super) fn compile(&mut self) {
                self.keys.compile();
            }

            pub(super) fn name(&self) -> &Cow<'static, str> {
                &self.name
            }

            /// Like [`named`](Self::named), for a rule of a profile.
            pub(super) fn profile(mut self, name: &'static str) -> Self {
                self.name = Cow::Borrowed(name);
                self
            }

            pub(super) fn peer_patterns(&self) -> &Peers {
                &self.peers
            }

            pub(super) fn keys(&self) -> &[KeyRule] {
                self.keys.as_slice()
            }

            pub(super) fn reports(&self) -> bool {
                self.report
            }

            pub(super) fn evaluator<'a>(&'a self, scrub: &'a Scrub) -> Evaluator<'a> {
                Evaluator { rule: &self.name, keys: &self.keys, report: self.report, scrub, direction: $direction }
            }
        }
    };
}

shared!(InboundRule, Direction::Inbound);
shared!(OutboundRule, Direction::Outbound);
