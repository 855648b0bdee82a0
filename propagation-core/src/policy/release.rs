use std::borrow::Cow;

use super::{OutboundRule, Policy, Scrub, TraceStateRule, evaluate::Evaluator, scrubbing::DetectorRef};
use crate::{Baggage, Direction, Peer, PropagationContext, RejectReason, Rejection, TraceContext, TraceState, hop};

/// An outbound context after the policy was applied.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Release<'c> {
    /// The context that may be sent; borrowed if the policy changed nothing.
    pub context: Cow<'c, PropagationContext>,
    /// The fields and keys that were blocked or modified, with the reasons.
    pub rejections: Vec<Rejection>,
}

impl Policy {
    /// Returns the part of a context that a peer may receive.
    #[must_use]
    pub fn release<'c>(&self, peer: &Peer<'_>, context: &'c PropagationContext) -> Release<'c> {
        let mut release = Release { context: Cow::Borrowed(context), rejections: Vec::new() };
        self.restrict_release(peer, &mut release);
        release
    }

    /// Applies the outbound rules in place: moving a context costs more than most rules.
    pub(crate) fn restrict_release(&self, peer: &Peer<'_>, release: &mut Release<'_>) {
        let Release { context, rejections } = release;
        let place = self.outbound_index.find(Direction::Outbound, peer);
        let rule = place.and_then(|place| self.outbound.get(place));
        let scrub = &self.scrub;
        let evaluator = rule.map_or_else(|| Evaluator::deny(scrub, Direction::Outbound), |rule| rule.evaluator(scrub));
        if let Some(baggage) = self.filter(&evaluator, place, context, rejections) {
            context.to_mut().baggage = baggage;
        }
        if let Some(rule) = rule
            && let Some(trace) = restrict_trace(&context.trace, rule, rejections)
        {
            context.to_mut().trace = trace;
        }
        if let Some(state) = self.scrub_state(&context.trace.state, Some(&evaluator), rejections) {
            context.to_mut().trace.state = state;
        }
    }

    /// Returns the baggage that a rule releases; `None` if it releases all of it as it is.
    fn filter(
        &self,
        evaluator: &Evaluator<'_>,
        rule: Option<usize>,
        context: &PropagationContext,
        rejections: &mut Vec<Rejection>,
    ) -> Option<Baggage> {
        // A hop makes several calls with one baggage: the detectors scan each member once for all of them.
        hop::with_findings(context, |findings, is_whole| {
            let Some(findings) = findings else { return evaluator.filter(&context.baggage, &mut 0, rejections) };
            let rule = rule.filter(|_| is_whole);
            if rule.is_some_and(|rule| findings.passes(self.generation, rule)) {
                return None;
            }
            let known = findings.clear(self.generation);
            let mut cleared = known;
            let filtered = evaluator.filter(&context.baggage, &mut cleared, rejections);
            // In report mode everything crosses, and each call reports it.
            let passing = rule.filter(|_| filtered.is_none() && rejections.is_empty());
            if cleared != known || passing.is_some() {
                findings.add(self.generation, cleared, passing);
            }
            filtered
        })
    }

    pub(super) fn find_in_state(&self, key: &str, value: &str) -> Option<DetectorRef<'_>> {
        find_in_member(&self.scrub, key, value)
    }

    /// Returns the tracestate without the members that hold personal data, or `None` if all members stay. Members belong to other systems:
    /// they are dropped, never changed.
    #[inline]
    pub(super) fn scrub_state(
        &self,
        state: &TraceState,
        evaluator: Option<&Evaluator<'_>>,
        rejections: &mut Vec<Rejection>,
    ) -> Option<TraceState> {
        if state.is_empty() || self.scrub.finds_nothing() || self.scrub.clears_state(state) {
            return None;
        }
        scrub_state(&self.scrub, state, evaluator, rejections)
    }
}

/// Returns the part of a trace that a rule releases, or `None` if it releases all of it.
fn restrict_trace(trace: &TraceContext, rule: &OutboundRule, rejections: &mut Vec<Rejection>) -> Option<TraceContext> {
    if !rule.releases_trace() {
        if trace.is_empty() {
            return None;
        }
        rejections.push(Rejection::new("traceparent", RejectReason::Untrusted).with_rule(rule.name().clone()));
        return Some(TraceContext::EMPTY);
    }
    let mut state = match rule.state() {
        TraceStateRule::All => return None,
        TraceStateRule::None => TraceState::EMPTY,
        TraceStateRule::Keys(_) => trace.state.clone(),
    };
    if let TraceStateRule::Keys(keys) = rule.state() {
        state.retain(|key| keys.iter().any(|allowed| allowed == key));
    }
    if state.len() == trace.state.len() {
        return None;
    }
    rejections.push(Rejection::new("tracestate", RejectReason::Untrusted).with_rule(rule.name().clone()));
    Some(trace.clone().with_state(state))
}

#[cold]
fn scrub_state(
    scrub: &Scrub,
    state: &TraceState,
    evaluator: Option<&Evaluator<'_>>,
    rejections: &mut Vec<Rejection>,
) -> Option<TraceState> {
    let report = evaluator.is_some_and(|evaluator| evaluator.report);
    let rule = evaluator.map(Evaluator::name);
    let found: Vec<(String, DetectorRef<'_>)> =
        state.iter().filter_map(|(key, value)| Some((key.to_owned(), find_in_member(scrub, key, value)?))).collect();
    for (_, detector) in &found {
        let rejection = Rejection::new("tracestate", RejectReason::PersonalData);
        let rejection = if report { rejection.reported() } else { rejection };
        rejections.push(rejection.by(rule.clone(), Some((*detector).into())));
    }
    if found.is_empty() || report {
        return None;
    }
    let mut left = state.clone();
    left.retain(|key| !found.iter().any(|(personal, _)| personal == key));
    Some(left)
}

/// Returns the detector that finds something in a member of tracestate.
fn find_in_member<'s>(scrub: &'s Scrub, key: &str, value: &str) -> Option<DetectorRef<'s>> {
    // `th` and `rv` are hexadecimal numbers that can look like card numbers; they are not personal data.
    if key == "ot" && is_of_sampling(value) {
        return None;
    }
    // Under a key such as `api_key`, such digits are a secret.
    let value = if propagation_scrub::key_hint(key.as_bytes()) { Cow::Borrowed(value) } else { without_ids(value) };
    scrub.find_in(key.as_bytes(), &value).or_else(|| scrub.find_in_key(key))
}

/// Returns a vendor's value without the 16 or 32 hexadecimal digits of span and trace ids: some are decimal by chance, and pass the
/// check digits of a card.
fn without_ids(value: &str) -> Cow<'_, str> {
    let is_id = |word: &str| matches!(word.len(), 16 | 32) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_apart = |byte: char| !byte.is_ascii_alphanumeric();
    if !value.split(is_apart).any(is_id) {
        return Cow::Borrowed(value);
    }
    let shown =
        value.split_inclusive(is_apart).map(|part| if is_id(part.trim_end_matches(is_apart)) { "id " } else { part });
    Cow::Owned(shown.collect())
}

/// Returns true if a value of `ot` has only the sub-keys `th` and `rv` of consistent sampling.
fn is_of_sampling(value: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    value.split(';').all(|member| match member.split_once(':') {
        Some(("th", threshold)) => (1..=14).contains(&threshold.len()) && is_hex(threshold),
        Some(("rv", randomness)) => randomness.len() == 14 && is_hex(randomness),
        _ => false,
    })
}
