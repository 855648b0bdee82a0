//! Evaluation of one baggage member by one rule, shared by extract, inject and `explain`.

use std::borrow::Cow;

use super::{
    key_rule::Keys,
    scrubbing::{DetectorRef, Scrub, ScrubAction},
};
use crate::{Baggage, Direction, Member, RejectReason, Rejection, model::Rewrite, rejection::PolicyName};

/// The name of the defaults in reports, for peers that no rule matches.
pub(super) static DEFAULT: Cow<'static, str> = Cow::Borrowed("default");

static NO_KEYS: Keys = Keys::EMPTY;

/// The baggage part of the rule that matches a peer.
pub(super) struct Evaluator<'a> {
    pub(super) rule: &'a Cow<'static, str>,
    pub(super) keys: &'a Keys,
    /// Whether the rule is in report mode.
    pub(super) report: bool,
    /// The scrubbers. Inbound they only decide whether reports may name a key.
    pub(super) scrub: &'a Scrub,
    pub(super) direction: Direction,
}

/// The effect of a rule on a member, with the reason.
pub(super) struct Evaluation<'a> {
    pub(super) effect: Rewrite,
    /// The violation, if the member may not cross unchanged.
    pub(super) violation: Option<Violation<'a>>,
    /// Whether reports may name the key; false if the key itself is personal.
    pub(super) key_shown: bool,
    /// Whether the detectors have just found nothing, whatever the rule.
    pub(super) is_clear: bool,
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
    pub(super) fn deny(scrub: &'a Scrub, direction: Direction) -> Self {
        Evaluator { rule: &DEFAULT, keys: &NO_KEYS, report: false, scrub, direction }
    }

    /// Evaluates a member. `is_clear` if the detectors have found nothing in it before.
    pub(super) fn evaluate(&self, member: &Member<'_>, is_clear: bool) -> Evaluation<'a> {
        let Some(key) = self.keys.find(member) else {
            return stopped(RejectReason::NotAllowed, None, self.report, self.may_show_key(member));
        };
        let report = self.report || key.reports();
        if let Some(reason) = key.violation(member) {
            return stopped(reason, None, report, self.may_show_key(member));
        }
        if is_clear || !key.is_scrubbed() || self.direction == Direction::Inbound {
            return Evaluation::crosses();
        }
        let scrub = self.scrub;
        if !key.is_hint(member) && scrub.clears_member(member) {
            return Evaluation { is_clear: true, ..Evaluation::crosses() };
        }
        if let Some(detector) = scrub.find_in_key(member.key()) {
            return stopped(RejectReason::PersonalData, Some(detector), report, false);
        }
        let Some(found) = scrub.find(member, key.chosen_action()) else {
            // Under another action, a pseudonym that was exempt would be a finding.
            let is_clear = scrub.resolve(key.chosen_action()) != ScrubAction::Pseudonymize;
            return Evaluation { is_clear, ..Evaluation::crosses() };
        };
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
                ..Evaluation::crosses()
            },
            None => stopped(RejectReason::PersonalData, Some(found.detector), false, true),
        }
    }

    /// Returns true if a received member crosses unchanged. Cheaper than [`evaluate`](Self::evaluate), which also finds the reason.
    fn admits(&self, member: &Member<'_>) -> bool {
        self.keys.find(member).is_some_and(|key| key.violation(member).is_none())
    }

    fn may_show_key(&self, member: &Member<'_>) -> bool {
        self.scrub.clears_key(member.wire_key())
    }

    /// Returns the baggage that may cross; `None` if all of it may cross unchanged.
    ///
    /// `cleared` has a bit for each member that the detectors have cleared before, and takes those that they clear now.
    pub(super) fn filter(
        &self,
        baggage: &Baggage,
        cleared: &mut u64,
        rejections: &mut Vec<Rejection>,
    ) -> Option<Baggage> {
        if baggage.is_empty() || self.lets_all_pass() {
            return None;
        }
        if self.keys.as_slice().is_empty() && !self.report {
            self.reject_all(baggage, rejections);
            return Some(Baggage::EMPTY);
        }
        if self.direction == Direction::Inbound && baggage.iter().all(|member| self.admits(&member)) {
            return None;
        }
        let (mut left, mut name) = (baggage.len(), None);
        baggage.rewritten(|place, member| {
            let bit = u32::try_from(place).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or_default();
            let evaluation = self.evaluate(member, *cleared & bit != 0);
            if evaluation.is_clear {
                *cleared |= bit;
            }
            if let Some(violation) = evaluation.violation {
                let rule = name.get_or_insert_with(|| self.name());
                rejections.reserve(left);
                rejections.push(rejection(member, rule, evaluation.key_shown, violation));
            }
            left = left.saturating_sub(1);
            evaluation.effect
        })
    }

    /// Rejects every member, for a rule without keys: the default for strangers, who send as many as they like.
    fn reject_all(&self, baggage: &Baggage, rejections: &mut Vec<Rejection>) {
        let rule = self.name();
        rejections.reserve(baggage.len());
        for member in baggage.iter() {
            let key = member.wire_key();
            let key = if self.scrub.clears_key(key) { key } else { &[] };
            rejections.push(Rejection::of_key("baggage", RejectReason::NotAllowed, key, rule.clone(), None));
        }
    }

    /// Returns the rule's name for rejections. Copied at most once for each message.
    pub(super) fn name(&self) -> PolicyName {
        self.rule.clone().into()
    }

    /// Returns true if no member can meet a violation.
    fn lets_all_pass(&self) -> bool {
        self.keys.as_slice().first().is_some_and(|key| {
            key.takes_everything()
                && (!key.is_scrubbed() || self.direction == Direction::Inbound || self.scrub.finds_nothing())
        })
    }
}

fn rejection(member: &Member<'_>, rule: &PolicyName, key_shown: bool, violation: Violation<'_>) -> Rejection {
    let key = if key_shown { member.wire_key() } else { &[] };
    let detector = violation.detector.map(PolicyName::from);
    let rejection = Rejection::of_key("baggage", violation.reason, key, rule.clone(), detector);
    if violation.reported { rejection.reported() } else { rejection }
}

fn stopped(reason: RejectReason, detector: Option<DetectorRef<'_>>, reported: bool, key_shown: bool) -> Evaluation<'_> {
    Evaluation {
        effect: if reported { Rewrite::Keep } else { Rewrite::Drop },
        violation: Some(Violation { reason, detector, reported }),
        key_shown,
        is_clear: false,
    }
}

impl Evaluation<'_> {
    fn crosses() -> Self {
        Self { effect: Rewrite::Keep, violation: None, key_shown: true, is_clear: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InboundRule, KeyRule};

    #[test]
    fn quick_check_agrees_with_the_evaluation() {
        let scrub = Scrub::default();
        let mut rule = InboundRule::peers(["*"])
            .allow("tenant.id")
            .allow("feature.*")
            .allow(KeyRule::new("plan").values(["free", "paid"]))
            .allow(KeyRule::new("short").max_length(3));
        rule.compile();
        let evaluator = rule.evaluator(&scrub);
        let text = "tenant.id=a,feature.x=1;p,plan=free,plan=other,short=abc,short=abcd,other=1,Tenant.id=a,mail=a%40b.example";
        let baggage = Baggage::parse(text.as_bytes());
        let admitted: Vec<bool> = baggage.iter().map(|member| evaluator.admits(&member)).collect();
        let crossing = |member: Member<'_>| evaluator.evaluate(&member, false).violation.is_none();
        assert_eq!(admitted, baggage.iter().map(crossing).collect::<Vec<_>>());
        assert_eq!(admitted, [true, true, true, false, true, false, false, false, false]);
    }
}
