//! What a policy would do, and by which rule.

use super::Policy;
use crate::{Direction, Member, Peer, PropagationContext, Reason, baggage::Rewrite};

/// What becomes of one baggage key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The key.
    pub key: String,
    /// Whether it crosses.
    pub verdict: Verdict,
    /// The rule that decided: its name, or `default` where none matches the peer.
    pub rule: String,
    /// Why it does not simply cross, or would not but for report mode.
    pub reason: Option<Reason>,
    /// The detector or pattern that found something.
    pub detector: Option<String>,
    /// The value that goes on, where it crosses or is changed.
    pub output: Option<String>,
}

/// Whether a key crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it is.
    Crosses,
    /// With another value.
    Changed,
    /// Not at all.
    Stopped,
}

impl Verdict {
    /// `crosses`, `changed` or `stopped`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crosses => "crosses",
            Self::Changed => "changed",
            Self::Stopped => "stopped",
        }
    }
}

impl Policy {
    /// Says for each baggage key of a context what becomes of it on the way from or to a peer. Changes and counts nothing.
    ///
    /// ```
    /// use propagation_core::{Direction, Peer, Policy, PropagationContext, Verdict};
    ///
    /// let policy = Policy::internal(["tenant.id"]);
    /// let mut context = PropagationContext::EMPTY;
    /// context.baggage.set("tenant.id", "anna@example.com")?;
    /// let explained = policy.explain(Direction::Outbound, &Peer::kafka("orders"), &context);
    /// assert_eq!(explained[0].verdict, Verdict::Stopped);
    /// assert_eq!(explained[0].detector.as_deref(), Some("email"));
    /// # Ok::<(), propagation_core::BaggageError>(())
    /// ```
    #[must_use]
    pub fn explain(&self, direction: Direction, peer: &Peer<'_>, context: &PropagationContext) -> Vec<Explanation> {
        let scrub = Some(&self.scrub);
        let judge = match direction {
            Direction::Inbound => {
                self.inbound_rule(peer).map_or_else(|| super::judge::Judge::deny(None), |rule| rule.judge(None))
            }
            Direction::Outbound => {
                self.outbound_rule(peer).map_or_else(|| super::judge::Judge::deny(scrub), |rule| rule.judge(scrub))
            }
        };
        let explain = |member: Member<'_>| {
            let judgement = judge.judge(&member);
            let (verdict, output) = match judgement.fate {
                Rewrite::Keep => (Verdict::Crosses, Some(member.value().into_owned())),
                Rewrite::Drop => (Verdict::Stopped, None),
                Rewrite::Set { value, .. } => (Verdict::Changed, Some(value)),
            };
            Explanation {
                key: member.key().to_owned(),
                verdict,
                rule: judge.rule.to_owned(),
                reason: judgement.objection.map(|objection| objection.reason),
                detector: judgement.objection.and_then(|objection| objection.detector).map(str::to_owned),
                output,
            }
        };
        context.baggage.iter().map(explain).collect()
    }
}
