use super::{InboundRule, Policy, TraceTrust, evaluate::Evaluator};
use crate::{
    Attribute, Baggage, Direction, ExternalText, Extracted, Member, Peer, PropagationContext, RejectReason, Rejection,
    SamplingDecision, TraceContext, TraceState, policy::KeyRule,
};

/// An inbound context after the policy was applied.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Admission {
    /// The context to continue with.
    pub context: PropagationContext,
    /// Traces that the next span links to: a restarted trace links to the caller's.
    pub links: Vec<TraceContext>,
    /// The attributes that the policy copies from baggage to the next span.
    pub attributes: Vec<Attribute>,
    /// The fields and keys that were rejected, with the reasons.
    pub rejections: Vec<Rejection>,
    /// The trust level that was applied.
    pub trust: TraceTrust,
}

/// The parts of an admission beside the context and the rejections.
pub(crate) struct AdmissionTerms {
    links: Vec<TraceContext>,
    attributes: Vec<Attribute>,
    trust: TraceTrust,
}

impl Policy {
    /// Applies the inbound rules for a peer to the context that formats have extracted.
    #[must_use]
    pub fn admit(&self, peer: &Peer<'_>, extracted: impl Into<Extracted>) -> Admission {
        let mut extracted = extracted.into();
        self.restrict(peer, &mut extracted).into_admission(extracted)
    }

    /// Applies the inbound rules in place: moving a context costs more than most rules.
    pub(crate) fn restrict(&self, peer: &Peer<'_>, extracted: &mut Extracted) -> AdmissionTerms {
        // Those of the formats; the rules' own are hidden as they are made.
        if !extracted.rejections.is_empty() {
            self.hide_personal_keys(&mut extracted.rejections);
        }
        self.apply_inbound(peer, extracted)
    }

    /// Removes keys that may not be shown: received keys are not scrubbed yet, and may be personal themselves.
    pub(crate) fn hide_personal_keys(&self, rejections: &mut [Rejection]) {
        for rejection in rejections {
            rejection.retain_key(|key| self.may_show_key(key));
        }
    }

    /// Returns the rule that has admitted a context, if it takes values of the application's own as baggage.
    pub(crate) fn rule_with_sources(&self, context: &PropagationContext) -> Option<&InboundRule> {
        if !self.has_sources {
            return None;
        }
        let rule = context.origin.admission.and_then(|token| self.rule_of(token))?;
        (!rule.sources().is_empty()).then_some(rule)
    }

    /// Returns true if reports may name a key.
    pub(crate) fn may_show_key(&self, key: &[u8]) -> bool {
        self.scrub.clears_key(key)
    }

    fn apply_inbound(&self, peer: &Peer<'_>, extracted: &mut Extracted) -> AdmissionTerms {
        let found = self.inbound_rule_at(peer);
        extracted.context.origin.admission = Some(self.token(found.map(|(index, _)| index)));
        let rule = found.map(|(_, rule)| rule);
        let mut terms = AdmissionTerms::new(rule.map_or(TraceTrust::Full, InboundRule::trust_level));
        let PropagationContext { trace, baggage, .. } = &extracted.context;
        let keeps_state = trace.state.is_empty() || self.scrub.finds_nothing();
        // Most requests have a trusted `traceparent` alone: nothing is restricted.
        if extracted.context.is_empty() || (baggage.is_empty() && keeps_state && terms.trust == TraceTrust::Full) {
            return terms;
        }
        // Without a rule the trace is trusted, and no baggage.
        let evaluator =
            rule.map_or_else(|| Evaluator::deny(&self.scrub, Direction::Inbound), |rule| rule.evaluator(&self.scrub));
        extracted.restrict_baggage(&evaluator);
        if let Some(rule) = rule {
            if !extracted.context.baggage.is_empty() {
                copy_attributes(&extracted.context.baggage, rule.span_attributes(), &mut terms.attributes);
            }
            if terms.trust != TraceTrust::Full {
                terms.restrict_trace(extracted, &evaluator);
            }
        }
        // Every span of the trace records its tracestate, so personal data in it is dropped before the first one.
        let state = &mut extracted.context.trace.state;
        if keeps_state || state.is_empty() {
            return terms;
        }
        if self.scrub.clears_state(state) {
            // It is not scanned again on the way out.
            state.set_plain();
        } else if let Some(left) = self.scrub_state(state, Some(&evaluator), &mut extracted.rejections) {
            *state = left;
        }
        terms
    }
}

impl Extracted {
    pub(super) fn restrict_baggage(&mut self, evaluator: &Evaluator<'_>) {
        // Nothing is scrubbed on the way in.
        if let Some(left) = evaluator.filter(&self.context.baggage, &mut 0, &mut self.rejections) {
            self.context.baggage = left;
        }
    }
}

impl AdmissionTerms {
    pub(super) fn new(trust: TraceTrust) -> Self {
        Self { links: Vec::new(), attributes: Vec::new(), trust }
    }

    pub(crate) fn into_admission(self, extracted: Extracted) -> Admission {
        let Extracted { context, rejections } = extracted;
        Admission { context, links: self.links, attributes: self.attributes, rejections, trust: self.trust }
    }

    pub(super) fn pop_link(&mut self) -> Option<TraceContext> {
        self.links.pop()
    }

    pub(super) fn restrict_trace(&mut self, extracted: &mut Extracted, evaluator: &Evaluator<'_>) {
        let trace = &mut extracted.context.trace;
        if self.trust == TraceTrust::IdsOnly {
            let accepted = std::mem::take(trace);
            if !accepted.state.is_empty() {
                extracted
                    .rejections
                    .push(Rejection::new("tracestate", RejectReason::Untrusted).by(Some(evaluator.name()), None));
            }
            if accepted.trace_id().is_some() {
                *trace = accepted.with_sampling(SamplingDecision::Defer).with_state(TraceState::EMPTY);
            }
            return;
        }
        let caller = std::mem::take(trace);
        if caller.is_empty() {
            return;
        }
        let reason = if self.trust == TraceTrust::Ignore { RejectReason::Untrusted } else { RejectReason::Restarted };
        extracted.rejections.push(Rejection::new("traceparent", reason).by(Some(evaluator.name()), None));
        if self.trust == TraceTrust::RestartWithLink && caller.has_ids() {
            // An untrusted caller decides nothing here, by a link either.
            self.links.push(TraceContext { sampling: SamplingDecision::Defer, state: TraceState::EMPTY, ..caller });
        } else if self.trust == TraceTrust::RestartWithLink
            && let Some(received) = caller.root_trace_id()
        {
            // A link needs a parent-id.
            self.attributes.push(Attribute::received_trace_id(received));
        }
    }
}

impl Policy {
    /// Returns `true` if a rule copies baggage to every span.
    pub(crate) fn copies_to_every_span(&self) -> bool {
        self.every_span
    }

    /// Returns the attributes of every span inside a hop, by the rule that admitted the hop.
    pub(crate) fn attributes_for_every_span(&self, context: &PropagationContext) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        if !context.baggage.is_empty()
            && let Some(rule) = context.origin.admission.and_then(|token| self.rule_of(token))
        {
            let keys = rule.span_attributes().filter(|(key, _)| key.every_span);
            copy_attributes(&context.baggage, keys, &mut attributes);
        }
        attributes
    }
}

/// Copies the members of these keys to attributes. The values are external: the guard scans them if a span records them.
fn copy_attributes<'k>(
    baggage: &Baggage,
    keys: impl Iterator<Item = (&'k KeyRule, &'k str)>,
    out: &mut Vec<Attribute>,
) {
    for (key, attribute) in keys {
        // Of several members with this key, the last, as in `Baggage::get`.
        let first = baggage.iter().find(|member| key.matches(member));
        if let Some(member) = first.and_then(|member| baggage.member(member.key())) {
            out.push(attribute_of(attribute, &member));
        }
    }
}

/// Returns the copy of a member's value as an attribute.
pub(super) fn attribute_of(name: &str, member: &Member<'_>) -> Attribute {
    let value = ExternalText::from(member.value()).with_key_hint(member.key());
    Attribute::external(name.to_owned(), value)
}
