//! The effect of a policy on a context, and the rule that decides.

use super::{BaggageSource, OutboundRule, Policy, TraceStateRule, TraceTrust, evaluate::Evaluator};
use crate::{Direction, Member, Peer, PropagationContext, RejectReason, Rejection, TraceContext, model::Rewrite};

/// The effect of a policy on a context on its way from or to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The name of the rule that decides; `default` where no rule matches the peer.
    pub rule: String,
    /// Inbound, the trust in the caller's trace context.
    pub trust: Option<TraceTrust>,
    /// Whether the next span links to the caller's.
    pub linked: bool,
    /// The trace context, each member of tracestate, and each key of baggage, in order.
    pub fields: Vec<ExplainedField>,
}

impl Explanation {
    /// Returns the explained keys of baggage, in order.
    pub fn baggage(&self) -> impl Iterator<Item = &ExplainedField> {
        self.fields.iter().filter(|field| field.field == "baggage")
    }
}

/// The effect of a policy on one field, or on one key of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedField {
    /// `traceparent`, `tracestate` or `baggage`.
    pub field: &'static str,
    /// The key of tracestate or baggage.
    pub key: Option<String>,
    /// Whether it crosses.
    pub decision: Decision,
    /// The reason for which it does not cross as it is, or would not but for report mode.
    pub reason: Option<RejectReason>,
    /// The detector or pattern that found something.
    pub detector: Option<String>,
    /// The value that crosses.
    pub output: Option<String>,
    /// The header or claim of the application's own that the value comes from, such as `header x-tenant-id`.
    pub source: Option<String>,
}

/// Whether a field or a key crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// As it is.
    Allowed,
    /// With another value.
    Modified,
    /// Not at all.
    Blocked,
}

impl Decision {
    /// Returns `allowed`, `modified` or `blocked`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Modified => "modified",
            Self::Blocked => "blocked",
        }
    }

    fn of(before: &str, after: Option<&str>) -> Self {
        match after {
            None => Self::Blocked,
            Some(after) if after == before => Self::Allowed,
            Some(_) => Self::Modified,
        }
    }
}

impl Policy {
    /// Returns the effect on a context on its way from or to a peer: trust, trace context, tracestate and baggage. Changes and counts
    /// nothing.
    ///
    /// ```
    /// use propagation_core::{Direction, Peer, Policy, PropagationContext, policy::Decision};
    ///
    /// let policy = Policy::internal(["tenant.id"]);
    /// let mut context = PropagationContext::EMPTY;
    /// context.baggage.set("tenant.id", "anna@example.com")?;
    /// let explained = policy.explain(Direction::Outbound, &Peer::kafka("orders"), &context);
    /// let tenant = explained.baggage().next().unwrap();
    /// assert_eq!(tenant.decision, Decision::Blocked);
    /// assert_eq!(tenant.detector.as_deref(), Some("email"));
    /// # Ok::<(), propagation_core::model::BaggageError>(())
    /// ```
    #[must_use]
    pub fn explain(&self, direction: Direction, peer: &Peer<'_>, context: &PropagationContext) -> Explanation {
        let scrub = &self.scrub;
        let mut explanation =
            Explanation { rule: "default".to_owned(), trust: None, linked: false, fields: Vec::new() };
        let evaluator = match direction {
            Direction::Inbound => {
                let admission = self.admit(peer, context.clone());
                let evaluator = self
                    .inbound_rule(peer)
                    .map_or_else(|| Evaluator::deny(scrub, direction), |rule| rule.evaluator(scrub));
                explanation.trust = Some(admission.trust);
                explanation.linked = !admission.links.is_empty();
                let after = &admission.context.trace;
                let full = admission.trust == TraceTrust::Full;
                let all = if full { &TraceStateRule::All } else { &TraceStateRule::None };
                self.explain_trace(&context.trace, after, &admission.rejections, all, &mut explanation.fields);
                evaluator
            }
            Direction::Outbound => {
                let release = self.release(peer, context);
                let rule = self.outbound_rule(peer);
                let state = rule.map_or(&TraceStateRule::All, OutboundRule::state);
                let after = &release.context.trace;
                self.explain_trace(&context.trace, after, &release.rejections, state, &mut explanation.fields);
                rule.map_or_else(|| Evaluator::deny(scrub, direction), |rule| rule.evaluator(scrub))
            }
        };
        explanation.rule = evaluator.rule.to_string();
        explanation.fields.extend(context.baggage.iter().map(|member| explain_member(&evaluator, &member)));
        explanation
    }

    /// Like [`explain`](Self::explain) for an inbound peer, with the values of the application's own headers and claims that `own` returns.
    #[must_use]
    pub fn explain_received(
        &self,
        peer: &Peer<'_>,
        context: &PropagationContext,
        own: &dyn Fn(BaggageSource<'_>) -> Option<String>,
    ) -> Explanation {
        let mut explanation = self.explain(Direction::Inbound, peer, context);
        let Some(rule) = self.inbound_rule(peer) else { return explanation };
        for entry in rule.sources() {
            let Some(value) = own(entry.source()) else { continue };
            let key = entry.key.key.as_str();
            let (decision, reason) = match entry.evaluate(rule, &value) {
                Ok((_, reason)) => (Decision::Allowed, reason),
                Err(reason) => (Decision::Blocked, Some(reason)),
            };
            let crosses = decision == Decision::Allowed;
            if crosses {
                // It replaces a member of the caller.
                explanation.fields.retain(|field| field.field != "baggage" || field.key.as_deref() != Some(key));
            }
            explanation.fields.push(ExplainedField {
                field: "baggage",
                key: Some(key.to_owned()),
                decision,
                reason,
                detector: None,
                output: crosses.then_some(value),
                source: Some(entry.source().to_string()),
            });
        }
        explanation
    }

    /// Explains a trace context by comparing it with the one that crossed.
    fn explain_trace(
        &self,
        before: &TraceContext,
        after: &TraceContext,
        rejections: &[Rejection],
        state: &TraceStateRule,
        out: &mut Vec<ExplainedField>,
    ) {
        if before.is_empty() {
            return;
        }
        let decision = match (before.span_id() == after.span_id(), before.trace_id() == after.trace_id()) {
            _ if after.is_empty() => Decision::Blocked,
            (true, true) if before.sampling == after.sampling => Decision::Allowed,
            _ => Decision::Modified,
        };
        let rejected = rejections.iter().find(|rejection| rejection.field == "traceparent");
        // Ids without the sampling decision are no rejection: the decision is made anew.
        let reason = rejected.map_or(RejectReason::Untrusted, |rejection| rejection.reason);
        out.push(ExplainedField {
            field: "traceparent",
            key: None,
            decision,
            reason: (decision != Decision::Allowed).then_some(reason),
            detector: None,
            output: after.parent.map(|parent| parent.to_string()),
            source: None,
        });
        for (key, value) in before.state.iter() {
            let found = after.state.get(key);
            let (by_rule, detector) = (!state.includes(key), self.find_in_state(key, value));
            let reason = match Decision::of(value, found) {
                Decision::Blocked if decision == Decision::Blocked => Some(reason),
                Decision::Blocked if by_rule => Some(RejectReason::Untrusted),
                Decision::Modified => Some(RejectReason::Untrusted),
                // The threshold of a sampling decision that is made anew goes with it.
                Decision::Blocked if detector.is_none() => Some(RejectReason::Untrusted),
                _ => detector.map(|_| RejectReason::PersonalData),
            };
            out.push(ExplainedField {
                field: "tracestate",
                key: Some(key.to_owned()),
                decision: Decision::of(value, found),
                reason,
                detector: detector
                    .filter(|_| reason == Some(RejectReason::PersonalData))
                    .map(|detector| detector.name().to_owned()),
                output: found.map(str::to_owned),
                source: None,
            });
        }
    }
}

fn explain_member(evaluator: &Evaluator<'_>, member: &Member<'_>) -> ExplainedField {
    let evaluation = evaluator.evaluate(member, false);
    let (decision, output) = match evaluation.effect {
        Rewrite::Keep => (Decision::Allowed, Some(member.value().into_owned())),
        Rewrite::Drop => (Decision::Blocked, None),
        Rewrite::Set { value, .. } => (Decision::Modified, Some(value)),
    };
    ExplainedField {
        field: "baggage",
        key: Some(member.key().to_owned()),
        decision,
        reason: evaluation.violation.map(|violation| violation.reason),
        detector: evaluation
            .violation
            .and_then(|violation| violation.detector)
            .map(|detector| detector.name().to_owned()),
        output,
        source: None,
    }
}
