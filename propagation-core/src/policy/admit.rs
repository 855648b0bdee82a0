use super::{InboundRule, Policy, TraceTrust, evaluate::Evaluator};
use crate::{
    Attribute, Baggage, Direction, ExternalText, Extracted, Member, Peer, PropagationContext, RejectReason, Rejection,
    SamplingDecision, TraceContext, TraceState, policy::KeyRule,
};

/// What came in, once the policy has judged it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Admission {
    /// What to go on with.
    pub context: PropagationContext,
    /// Traces that the next span links to: a restarted trace links to the caller's.
    pub links: Vec<TraceContext>,
    /// What the policy copies from baggage to the attributes of the next span.
    pub attributes: Vec<Attribute>,
    /// What was refused, and why.
    pub rejections: Vec<Rejection>,
    /// How far the caller was believed.
    pub trust: TraceTrust,
}

impl Policy {
    /// Applies the inbound rules for a peer to the context that formats have extracted.
    #[must_use]
    pub fn admit(&self, peer: &Peer<'_>, extracted: impl Into<Extracted>) -> Admission {
        let (context, rejections) = extracted.into().into_parts();
        let mut admission =
            Admission { context, rejections, links: Vec::new(), attributes: Vec::new(), trust: TraceTrust::Full };
        // Those of the formats; the rules' own are hidden as they are made.
        self.hide_personal_keys(&mut admission.rejections);
        self.apply_inbound(peer, &mut admission);
        admission
    }

    /// Takes the keys out that may not be shown: nothing that comes in was scrubbed yet, and a key may be personal itself.
    pub(crate) fn hide_personal_keys(&self, rejections: &mut [Rejection]) {
        for rejection in rejections {
            rejection.retain_key(|key| self.may_show_key(key));
        }
    }

    /// Returns the rule that has admitted a context, if it takes values of the application's own as baggage.
    pub(crate) fn rule_with_sources(&self, admission: &Admission) -> Option<&InboundRule> {
        let rule = admission.context.origin.admission.and_then(|token| self.rule_of(token))?;
        (!rule.sources().is_empty()).then_some(rule)
    }

    /// Returns true if reports may name a key.
    pub(crate) fn may_show_key(&self, key: &[u8]) -> bool {
        self.scrub.clears_key(key)
    }

    fn apply_inbound(&self, peer: &Peer<'_>, admission: &mut Admission) {
        let found = self.inbound_rule_at(peer);
        admission.context.origin.admission = Some(self.token(found.map(|(index, _)| index)));
        let rule = found.map(|(_, rule)| rule);
        admission.trust = rule.map_or(TraceTrust::Full, InboundRule::trust_level);
        if admission.context.is_empty() {
            return;
        }
        // Without a rule the trace is trusted, and no baggage.
        let evaluator =
            rule.map_or_else(|| Evaluator::deny(&self.scrub, Direction::Inbound), |rule| rule.evaluator(&self.scrub));
        admission.restrict_baggage(&evaluator);
        if let Some(rule) = rule {
            if !admission.context.baggage.is_empty() {
                copy_attributes(&admission.context.baggage, rule.span_attributes(), &mut admission.attributes);
            }
            if admission.trust != TraceTrust::Full {
                admission.restrict_trace(&evaluator);
            }
        }
        // Every span of the trace says its tracestate, so what is personal in it stays out from the start.
        let state = &mut admission.context.trace.state;
        if state.is_empty() || self.scrub.finds_nothing() {
            return;
        }
        if self.scrub.clears_state(state) {
            // It is not asked again on the way out.
            state.set_plain();
        } else if let Some(left) = self.scrub_state(state, Some(&evaluator), &mut admission.rejections) {
            *state = left;
        }
    }
}

impl Admission {
    pub(super) fn restrict_baggage(&mut self, evaluator: &Evaluator<'_>) {
        // Nothing is scrubbed on the way in.
        if let Some(left) = evaluator.filter(&self.context.baggage, &mut 0, &mut self.rejections) {
            self.context.baggage = left;
        }
    }

    pub(super) fn restrict_trace(&mut self, evaluator: &Evaluator<'_>) {
        let trust = self.trust;
        let trace = &mut self.context.trace;
        if trust == TraceTrust::IdsOnly {
            let accepted = std::mem::take(trace);
            if !accepted.state.is_empty() {
                self.rejections
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
        let reason = if trust == TraceTrust::Ignore { RejectReason::Untrusted } else { RejectReason::Restarted };
        self.rejections.push(Rejection::new("traceparent", reason).by(Some(evaluator.name()), None));
        if trust == TraceTrust::RestartWithLink && caller.has_ids() {
            // Whom we don't believe does not decide for us, by a link either.
            self.links.push(TraceContext { sampling: SamplingDecision::Defer, state: TraceState::EMPTY, ..caller });
        } else if trust == TraceTrust::RestartWithLink
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

/// Copies the members that rules name. The values are external: the guard decides over them once a span records them.
fn copy_attributes<'k>(
    baggage: &Baggage,
    keys: impl Iterator<Item = (&'k KeyRule, &'k str)>,
    out: &mut Vec<Attribute>,
) {
    for (key, attribute) in keys {
        // Of several with this key, the last: what `Baggage::get` answers.
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
