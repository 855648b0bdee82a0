use super::{Policy, StateRule, rule};
use crate::{Peer, PropagationContext, Reason, Rejection, TraceContext, TraceState};

/// What may go out, once the policy has judged it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Release {
    /// What the peer may learn.
    pub context: PropagationContext,
    /// What was kept back, and why.
    pub stopped: Vec<Rejection>,
}

impl Policy {
    /// Judges what a peer may learn.
    #[must_use]
    pub fn release(&self, peer: &Peer<'_>, context: &PropagationContext) -> Release {
        let rule = self.outbound.iter().find(|rule| rule.matches(peer));
        let mut release = Release { context: context.clone(), stopped: Vec::new() };
        let (name, keys) = rule.map_or(("default", [].as_slice()), |rule| {
            let (name, _, keys) = rule.checked_parts();
            (name, keys)
        });
        rule::filter(&mut release.context.baggage, name, keys, &mut |rejection| release.stopped.push(rejection));
        if let Some(rule) = rule {
            release.judge_trace(rule.releases_trace(), rule.state(), name);
        }
        release
    }
}

impl Release {
    fn judge_trace(&mut self, released: bool, state: &StateRule, rule: &str) {
        let trace = &mut self.context.trace;
        if !released {
            if !trace.is_empty() {
                *trace = TraceContext::EMPTY;
                self.stopped.push(Rejection::new("traceparent", Reason::Untrusted).with_rule(rule));
            }
            return;
        }
        let before = trace.state.len();
        match state {
            StateRule::All => return,
            StateRule::None => trace.state = TraceState::EMPTY,
            StateRule::Keys(keys) => trace.state.retain(|key| keys.iter().any(|allowed| allowed == key)),
        }
        if trace.state.len() < before {
            self.stopped.push(Rejection::new("tracestate", Reason::Untrusted).with_rule(rule));
        }
    }
}
