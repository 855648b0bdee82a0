//! What becomes of one baggage member at one rule. Extract, inject and `explain` all ask here.

use super::{key_rule::KeyRule, scrubbing::Scrub};
use crate::{Baggage, Member, Reason, Rejection, baggage::Rewrite};

/// A rule for the peer at hand, as far as baggage is concerned.
pub(super) struct Judge<'a> {
    pub(super) rule: &'a str,
    pub(super) keys: &'a [KeyRule],
    /// The whole rule only reports: what it would stop crosses.
    pub(super) report: bool,
    /// Outbound only: what is scrubbed before it is on the wire.
    pub(super) scrub: Option<&'a Scrub>,
}

/// What becomes of a member, and why.
pub(super) struct Judgement<'a> {
    pub(super) fate: Rewrite,
    /// Why it does not simply cross, and what said so.
    pub(super) objection: Option<Objection<'a>>,
    /// Whether the key may be shown: not if it is personal itself.
    pub(super) key_shown: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Objection<'a> {
    pub(super) reason: Reason,
    /// The detector or pattern, where one objects.
    pub(super) detector: Option<&'a str>,
    /// Whether it only reports.
    pub(super) reported: bool,
}

impl<'a> Judge<'a> {
    /// Where no rule matches: no key crosses.
    pub(super) fn deny(scrub: Option<&'a Scrub>) -> Self {
        Judge { rule: "default", keys: &[], report: false, scrub }
    }

    pub(super) fn judge(&self, member: &Member<'_>) -> Judgement<'a> {
        let Some(key) = self.keys.iter().find(|key| key.matches(member)) else {
            return stopped(Reason::NotAllowed, None, self.report, self.may_show_key(member));
        };
        let report = self.report || key.reports();
        if let Some(reason) = key.objection(member) {
            return stopped(reason, None, report, self.may_show_key(member));
        }
        let Some(scrub) = self.scrub.filter(|_| key.is_scrubbed()) else { return Judgement::crosses() };
        if !key.tells(member) && scrub.clears_member(member) {
            return Judgement::crosses();
        }
        if let Some(detector) = scrub.find_in_key(member.key()) {
            return stopped(Reason::Personal, Some(detector), report, false);
        }
        let Some(found) = scrub.find(member, key.chosen_action()) else { return Judgement::crosses() };
        if report {
            return stopped(Reason::Personal, Some(found.detector), true, true);
        }
        match scrub.change(key.chosen_action(), member, &found) {
            Some(value) => Judgement {
                fate: Rewrite::Set { value, properties: scrub.find_in_properties(member).is_none() },
                objection: Some(Objection {
                    reason: Reason::Scrubbed,
                    detector: Some(found.detector),
                    reported: false,
                }),
                key_shown: true,
            },
            None => stopped(Reason::Personal, Some(found.detector), false, true),
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
            let judgement = self.judge(member);
            if let Some(objection) = judgement.objection {
                stopped(self.rejection(member, &judgement, objection));
            }
            judgement.fate
        })
    }

    /// Whether no member can meet an objection: then none is looked at.
    fn lets_all_pass(&self) -> bool {
        self.keys.first().is_some_and(|key| {
            key.takes_everything() && (!key.is_scrubbed() || self.scrub.is_none_or(Scrub::finds_nothing))
        })
    }

    fn rejection(&self, member: &Member<'_>, judgement: &Judgement<'_>, objection: Objection<'_>) -> Rejection {
        let rejection = Rejection::new("baggage", objection.reason);
        let rejection = if objection.reported { rejection.reported() } else { rejection };
        let rejection = if judgement.key_shown { rejection.with_key(member.key().as_bytes()) } else { rejection };
        match objection.detector {
            Some(detector) => rejection.with_rule(&format!("{}, {detector}", self.rule)),
            None => rejection.with_rule(self.rule),
        }
    }
}

fn stopped(reason: Reason, detector: Option<&str>, reported: bool, key_shown: bool) -> Judgement<'_> {
    Judgement {
        fate: if reported { Rewrite::Keep } else { Rewrite::Drop },
        objection: Some(Objection { reason, detector, reported }),
        key_shown,
    }
}

impl Judgement<'_> {
    fn crosses() -> Self {
        Self { fate: Rewrite::Keep, objection: None, key_shown: true }
    }
}
