use super::{Policy, Scrub, StateRule};
use crate::{Peer, PropagationContext, Reason, Rejection, TraceContext, TraceState};

/// What may go out, once the policy has judged it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Release {
    /// What the peer may learn.
    pub context: PropagationContext,
    /// What was kept back or changed, and why.
    pub stopped: Vec<Rejection>,
}

impl Policy {
    /// Judges what a peer may learn.
    #[must_use]
    pub fn release(&self, peer: &Peer<'_>, context: &PropagationContext) -> Release {
        let rule = self.outbound_rule(peer);
        let scrub = Some(&self.scrub);
        let judge = rule.map_or_else(|| super::judge::Judge::deny(scrub), |rule| rule.judge(scrub));
        let mut release = Release { context: context.clone(), stopped: Vec::new() };
        judge.filter(&mut release.context.baggage, &mut |rejection| release.stopped.push(rejection));
        if let Some(rule) = rule {
            release.judge_trace(rule.releases_trace(), rule.state(), judge.rule);
        }
        self.scrub_state(&mut release.context.trace.state, judge.rule, judge.report, &mut release.stopped);
        release
    }

    /// Members of tracestate are other systems' own: what a scrubber objects to is dropped, never changed.
    #[inline]
    pub(super) fn scrub_state(&self, state: &mut TraceState, rule: &str, report: bool, stopped: &mut Vec<Rejection>) {
        if !state.is_empty() && !self.scrub.finds_nothing() && !self.scrub.clears(state.as_bytes()) {
            scrub_state(&self.scrub, state, rule, report, stopped);
        }
    }
}

#[cold]
fn scrub_state(scrub: &Scrub, state: &mut TraceState, rule: &str, report: bool, stopped: &mut Vec<Rejection>) {
    let found: Vec<(String, String)> = state
        .iter()
        // Thresholds and randomness are OpenTelemetry's own hexadecimal digits: all decimal once in a while, and nobody's.
        .filter(|(key, value)| !(*key == "ot" && is_of_sampling(value)))
        .filter_map(|(key, value)| {
            let detector = scrub.find_in(key.as_bytes(), value).or_else(|| scrub.find_in_key(key))?;
            Some((key.to_owned(), detector.to_owned()))
        })
        .collect();
    for (_, detector) in &found {
        let reason = if report { Reason::Reported } else { Reason::Personal };
        stopped.push(Rejection::new("tracestate", reason).with_rule(&format!("{rule}, {detector}")));
    }
    if !found.is_empty() && !report {
        state.retain(|key| !found.iter().any(|(personal, _)| personal == key));
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

/// Whether a value of `ot` holds nothing but consistent sampling's `th` and `rv`.
fn is_of_sampling(value: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    value.split(';').all(|member| match member.split_once(':') {
        Some(("th", threshold)) => (1..=14).contains(&threshold.len()) && is_hex(threshold),
        Some(("rv", randomness)) => randomness.len() == 14 && is_hex(randomness),
        _ => false,
    })
}
