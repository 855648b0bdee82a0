//! Forwarding: the rule that admitted the current hop applies to context that an outgoing carrier holds already.

use super::{
    InboundRule, Policy, TraceTrust,
    admit::AdmissionTerms,
    evaluate::{DEFAULT, Evaluator},
};
use crate::{
    Direction, Extracted, PropagationContext, RejectReason, Rejection, TraceContext,
    model::origin::{AdmissionToken, Origin},
};

/// The treatment of context that an outgoing message already carries outside of any hop that was admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExistingOutsideHops {
    /// It stays: an outbox relay sends messages that the application has stored with their context.
    #[default]
    Keep,
    /// It is replaced, and its baggage is dropped: for services where received messages are forwarded by work that runs outside of
    /// their hops, such as a bare `tokio::spawn`.
    Restart,
}

/// Existing context after the rule was applied.
#[derive(Debug)]
pub(crate) struct Forwarded {
    /// The part that may go out again.
    pub(crate) context: PropagationContext,
    /// A trace that does not stay and that a span may link to.
    pub(crate) link: Option<TraceContext>,
    /// Whether the ids stay under a sampling decision of this service.
    pub(crate) ids_only: bool,
}

impl Policy {
    /// The token of an admission by the rule at an index.
    pub(super) fn token(&self, rule: Option<usize>) -> AdmissionToken {
        AdmissionToken {
            policy: self.generation,
            rule: rule.and_then(|index| u32::try_from(index).ok()),
            with_baggage: true,
        }
    }

    /// Returns the less trusted of two admissions. Two different rules together let no baggage in.
    pub(crate) fn stricter(
        &self,
        one: Option<AdmissionToken>,
        other: Option<AdmissionToken>,
    ) -> Option<AdmissionToken> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        if one == other {
            return Some(one);
        }
        let kept = if strictness(self.trust_of(one)) >= strictness(self.trust_of(other)) { one } else { other };
        Some(AdmissionToken { with_baggage: false, ..kept })
    }

    /// Applies the rule of a hop's admission to context that an outgoing carrier holds already.
    pub(crate) fn evaluate_existing(
        &self,
        origin: Origin,
        found: PropagationContext,
        rejections: &mut Vec<Rejection>,
    ) -> Forwarded {
        let Some(token) = origin.admission else { return self.evaluate_outside_hops(found, rejections) };
        let rule = self.rule_of(token);
        let evaluator = match rule.filter(|_| token.with_baggage) {
            Some(rule) => rule.evaluator(&self.scrub),
            None => Evaluator {
                rule: rule.map_or(&DEFAULT, InboundRule::name),
                ..Evaluator::deny(&self.scrub, Direction::Inbound)
            },
        };
        let trust = self.trust_of(token);
        let (mut extracted, mut terms) = (Extracted::from(found), AdmissionTerms::new(trust));
        extracted.restrict_baggage(&evaluator);
        if trust != TraceTrust::Full {
            terms.restrict_trace(&mut extracted, &evaluator);
        }
        let ids_only = trust == TraceTrust::IdsOnly;
        extracted.rejections.iter_mut().for_each(|rejection| rejection.forwarded = true);
        rejections.append(&mut extracted.rejections);
        Forwarded { context: extracted.context, link: terms.pop_link(), ids_only }
    }

    fn evaluate_outside_hops(&self, found: PropagationContext, rejections: &mut Vec<Rejection>) -> Forwarded {
        let kept = self.existing_outside_hops == ExistingOutsideHops::Keep;
        if !kept {
            for (field, there) in [("traceparent", !found.trace.is_empty()), ("baggage", !found.baggage.is_empty())] {
                if there {
                    rejections.push(Rejection::new(field, RejectReason::Restarted).with_rule("existing_outside_hops"));
                }
            }
        }
        let context = if kept { found } else { PropagationContext::EMPTY };
        Forwarded { context, link: None, ids_only: false }
    }

    /// The rule of a token; `None` where none matched, and for the token of a policy that was replaced.
    pub(super) fn rule_of(&self, token: AdmissionToken) -> Option<&InboundRule> {
        let index = usize::try_from(token.rule?).ok()?;
        self.inbound.get(index).filter(|_| token.policy == self.generation)
    }

    /// The trust of a token. A policy that was replaced can't be looked up: then a trace restarts.
    fn trust_of(&self, token: AdmissionToken) -> TraceTrust {
        if token.policy != self.generation {
            return TraceTrust::Restart;
        }
        self.rule_of(token).map_or(TraceTrust::Full, InboundRule::trust_level)
    }
}

fn strictness(trust: TraceTrust) -> u8 {
    match trust {
        TraceTrust::Full => 0,
        TraceTrust::IdsOnly => 1,
        TraceTrust::RestartWithLink => 2,
        TraceTrust::Restart => 3,
        TraceTrust::Ignore => 4,
    }
}
