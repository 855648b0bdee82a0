//! What becomes of one baggage member at one rule. Extract, inject and `explain` all ask here.

use super::{key_rule::KeyRule, scrubbing::Scrub};
use crate::{Baggage, Member, RejectReason, Rejection, baggage::Rewrite};

/// A rule for the peer at hand, as far as baggage is concerned.
pub(super) struct Evaluator<'a> {
    pub(super) rule: &'a str,
    pub(super) keys: &'a [KeyRule],
    /// The whole rule only reports: what it would stop crosses.
    pub(super) report: bool,
    /// Outbound only: what is scrubbed before it is on the wire.
    pub(super) scrub: Option<&'a Scrub>,
}

/// What becomes of a member, and why.
pub(super) struct Evaluation<'a> {
    pub(super) effect: Rewrite,
    /// Why it does not simply cross, and what said so.
    pub(super) violation: Option<Violation<'a>>,
    /// Whether the key may be shown: not if it is personal itself.
    pub(super) key_shown: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Violation<'a> {
    pub(super) reason: RejectReason,
    /// The detector or pattern, where one objects.
    pub(super) detector: Option<&'a str>,
    /// Whether it only reports.
    pub(super) reported: bool,
}

impl<'a> Evaluator<'a> {
    /// Where no rule matches: no key crosses.
    pub(super) fn deny(scrub: Option<&'a Scrub>) -> Self {
        Evaluator { rule: "default", keys: &[], report: false, scrub }
    }

    pub(super) fn evaluate(&self, member: &Member<'_>) -> Evaluation<'a> {
        let Some(key) = self.keys.iter().find(|key| key.matches(member)) else {
            return stopped(RejectReason::NotAllowed, None, self.report, self.may_show_key(member));
        };
        let report = self.report || key.reports();
        if let Some(reason) = key.violation(member) {
            return stopped(reason, None, report, self.may_show_key(member));
        }
        let Some(scrub) = self.scrub.filter(|_| key.is_scrubbed()) else { return Evaluation::crosses() };
        if !key.tells(member) && scrub.clears_member(member) {
            return Evaluation::crosses();
        }
        if let Some(detector) = scrub.find_in_key(member.key()) {
            return stopped(RejectReason::PersonalData, Some(detector), report, false);
        }
        let Some(found) = scrub.find(member, key.chosen_action()) else { return Evaluation::crosses() };
        if report {
            return stopped(RejectReason::PersonalData, Some(found.detector), true, true);
        }
        match scrub.change(key.chosen_action(), member, &found) {
            Some(value) => Evaluation {
                effect: Rewrite::Set { value, properties: scrub.find_in_properties(member).is_none() },
                violation: Some(Violation {
                    reason: RejectReason::Scrubbed,
                    detector: Some(found.detector),
                    reported: false,
                }),
                key_shown: true,
            },
            None => stopped(RejectReason::PersonalData, Some(found.detector), false, true),
        }
    }

    fn may_show_key(&self, member: &Member<'_>) -> bool {
        self.scrub.is_none_or(|scrub| scrub.find_in_key(member.key()).is_none())
    }

    /// What may cross of `baggage`, changed where it may only cross changed; `None` if that is all of it, as it is.
    pub(super) fn filter(&self, baggage: &Baggage, stopped: &mut dyn FnMut(Rejection)) -> Option<Baggage> {
        if baggage.is_empty() || self.lets_all_pass() {
            return None;
        }
        baggage.rewritten(|member| {
            let evaluation = self.evaluate(member);
            if let Some(violation) = evaluation.violation {
                stopped(self.rejection(member, &evaluation, violation));
            }
            evaluation.effect
        })
    }

    /// Whether no member can meet an violation: then none is looked at.
    fn lets_all_pass(&self) -> bool {
        self.keys.first().is_some_and(|key| {
            key.takes_everything() && (!key.is_scrubbed() || self.scrub.is_none_or(Scrub::finds_nothing))
        })
    }

    fn rejection(&self, member: &Member<'_>, evaluation: &Evaluation<'_>, violation: Violation<'_>) -> Rejection {
        let rejection = Rejection::new("baggage", violation.reason);
        let rejection = if violation.reported { rejection.reported() } else { rejection };
        let rejection = if evaluation.key_shown { rejection.with_key(member.key().as_bytes()) } else { rejection };
        match violation.detector {
            Some(detector) => rejection.with_rule(&format!("{}, {detector}", self.rule)),
            None => rejection.with_rule(self.rule),
        }
    }
}

fn stopped(reason: RejectReason, detector: Option<&str>, reported: bool, key_shown: bool) -> Evaluation<'_> {
    Evaluation {
        effect: if reported { Rewrite::Keep } else { Rewrite::Drop },
        violation: Some(Violation { reason, detector, reported }),
        key_shown,
    }
}

impl Evaluation<'_> {
    fn crosses() -> Self {
        Self { effect: Rewrite::Keep, violation: None, key_shown: true }
    }
}
