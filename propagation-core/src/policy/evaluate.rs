//! Evaluation of one baggage member by one rule, shared by extract, inject and `explain`.

use std::borrow::Cow;

use super::{
    key_rule::Keys,
    scrubbing::{DetectorRef, Scrub},
};
use crate::{Baggage, Member, RejectReason, Rejection, model::Rewrite, rejection::PolicyName};

/// The name of the defaults in reports, for peers that no rule matches.
pub(super) static DEFAULT: Cow<'static, str> = Cow::Borrowed("default");

static NO_KEYS: Keys = Keys::EMPTY;

/// The baggage part of the rule that matches a peer.
pub(super) struct Evaluator<'a> {
    pub(super) rule: &'a Cow<'static, str>,
    pub(super) keys: &'a Keys,
    /// Whether the rule is in report mode.
    pub(super) report: bool,
    /// The scrubbers; outbound only.
    pub(super) scrub: Option<&'a Scrub>,
}

/// The effect of a rule on a member, with the reason.
pub(super) struct Evaluation<'a> {
    pub(super) effect: Rewrite,
    /// The violation, if the member may not cross unchanged.
    pub(super) violation: Option<Violation<'a>>,
    /// Whether reports may name the key; false if the key itself is personal.
    pub(super) key_shown: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Violation<'a> {
    pub(super) reason: RejectReason,
    /// The detector or pattern that matched.
    pub(super) detector: Option<DetectorRef<'a>>,
    /// Whether report mode lets the member cross.
    pub(super) reported: bool,
}

impl<'a> Evaluator<'a> {
    /// Returns the evaluator for peers without a rule: no key crosses.
    pub(super) fn deny(scrub: Option<&'a Scrub>) -> Self {
        Evaluator { rule: &DEFAULT, keys: &NO_KEYS, report: false, scrub }
    }

    pub(super) fn evaluate(&self, member: &Member<'_>) -> Evaluation<'a> {
        let Some(key) = self.keys.find(member) else {
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

    /// Returns the baggage that may cross; `None` if all of it may cross unchanged.
    pub(super) fn filter(&self, baggage: &Baggage, rejections: &mut Vec<Rejection>) -> Option<Baggage> {
        if baggage.is_empty() || self.lets_all_pass() {
            return None;
        }
        let (mut left, mut name) = (baggage.len(), None);
        baggage.rewritten(|member| {
            let evaluation = self.evaluate(member);
            if let Some(violation) = evaluation.violation {
                let rule = name.get_or_insert_with(|| self.name());
                rejections.reserve(left);
                rejections.push(rejection(member, rule, &evaluation, violation));
            }
            left = left.saturating_sub(1);
            evaluation.effect
        })
    }

    /// Returns the rule's name for rejections. Copied at most once for each message.
    pub(super) fn name(&self) -> PolicyName {
        self.rule.clone().into()
    }

    /// Whether no member can meet an violation: then none is looked at.
    fn lets_all_pass(&self) -> bool {
        self.keys.as_slice().first().is_some_and(|key| {
            key.takes_everything() && (!key.is_scrubbed() || self.scrub.is_none_or(Scrub::finds_nothing))
        })
    }
}

fn rejection(
    member: &Member<'_>,
    rule: &PolicyName,
    evaluation: &Evaluation<'_>,
    violation: Violation<'_>,
) -> Rejection {
    let rejection = Rejection::new("baggage", violation.reason);
    let rejection = if violation.reported { rejection.reported() } else { rejection };
    let rejection = if evaluation.key_shown { rejection.with_key(member.wire_key()) } else { rejection };
    rejection.by(Some(rule.clone()), violation.detector.map(Into::into))
}

fn stopped(reason: RejectReason, detector: Option<DetectorRef<'_>>, reported: bool, key_shown: bool) -> Evaluation<'_> {
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
