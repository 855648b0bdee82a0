use super::{Policy, Trust, rule};
use crate::{Peer, PropagationContext, Reason, Rejection, Sampling, TraceContext, TraceState};

/// What came in, once the policy has judged it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Admission {
    /// What to go on with.
    pub context: PropagationContext,
    /// Traces that the next span links to: a restarted trace links to the caller's.
    pub links: Vec<TraceContext>,
    /// What was refused, and why.
    pub rejections: Vec<Rejection>,
    /// How far the caller was believed.
    pub trust: Trust,
}

impl Policy {
    /// Judges what a peer has sent. `rejections` is what the formats refused already.
    #[must_use]
    pub fn admit(&self, peer: &Peer<'_>, context: PropagationContext, rejections: Vec<Rejection>) -> Admission {
        let rule = self.inbound.iter().find(|rule| rule.matches(peer));
        let (name, _, keys) = rule.map_or(("default", None, [].as_slice()), |rule| {
            let (name, peers, keys) = rule.checked_parts();
            (name, Some(peers), keys)
        });
        let trust = rule.map(super::InboundRule::trust_level).unwrap_or_default();
        let mut admission = Admission { context, links: Vec::new(), rejections, trust };
        rule::filter(&mut admission.context.baggage, name, keys, &mut |rejection| admission.rejections.push(rejection));
        admission.judge_trace(trust, name);
        admission
    }
}

impl Admission {
    fn judge_trace(&mut self, trust: Trust, rule: &str) {
        let trace = &mut self.context.trace;
        match trust {
            Trust::Trust => return,
            Trust::AcceptIds => {
                if trace.has_ids() {
                    *trace = std::mem::take(trace).with_sampling(Sampling::Defer);
                } else {
                    *trace = TraceContext::EMPTY;
                }
                return;
            }
            Trust::RestartAndLink | Trust::Restart | Trust::Ignore => {}
        }
        let caller = std::mem::take(trace);
        if caller.is_empty() {
            return;
        }
        let reason = if trust == Trust::Ignore { Reason::Untrusted } else { Reason::Restarted };
        self.rejections.push(Rejection::new("traceparent", reason).with_rule(rule));
        if trust == Trust::RestartAndLink && caller.has_ids() {
            self.links.push(caller.with_state(TraceState::EMPTY));
        }
    }
}
