//! The members of a hop's baggage that the policy's detectors have cleared.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::origin::Generation;

/// The cleared members, for one policy: a hop's later calls need not scan them again. Another policy finds nothing here.
///
/// Bits are the places of members in the text of the hop's own baggage, whichever of them are kept.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The policy that cleared the members; 0 before the first call.
    policy: AtomicU64,
    clear: AtomicU64,
    /// The place, from 1, of an outbound rule that lets the hop's whole baggage cross as it is; 0 if none is known.
    passing: AtomicU64,
}

impl Findings {
    /// Returns the members that a policy has cleared.
    pub(crate) fn clear(&self, policy: Generation) -> u64 {
        if self.policy.load(Ordering::Acquire) == policy.get() { self.clear.load(Ordering::Relaxed) } else { 0 }
    }

    /// Returns true if the rule at a place was found to let the hop's whole baggage cross as it is.
    pub(crate) fn passes(&self, policy: Generation, rule: usize) -> bool {
        self.policy.load(Ordering::Acquire) == policy.get() && self.passing.load(Ordering::Relaxed) == place(rule)
    }

    /// Adds members that a policy has cleared, and a rule that lets the hop's whole baggage cross as it is. The first policy of a hop stays.
    pub(crate) fn add(&self, policy: Generation, clear: u64, passing: Option<usize>) {
        let (own, ordering) = (policy.get(), (Ordering::AcqRel, Ordering::Acquire));
        let known = self.policy.compare_exchange(0, own, ordering.0, ordering.1).map_or_else(|known| known, |_| own);
        if known == own {
            self.clear.fetch_or(clear, Ordering::Relaxed);
            if let Some(rule) = passing {
                self.passing.store(place(rule), Ordering::Relaxed);
            }
        }
    }
}

/// Returns the place of a rule, from 1.
fn place(rule: usize) -> u64 {
    u64::try_from(rule).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_clear_for_one_policy() {
        let (one, other) = (Generation::next(), Generation::next());
        let findings = Findings::default();
        assert_eq!(findings.clear(one), 0);
        findings.add(one, 0b101, None);
        assert!(!findings.passes(one, 0));
        findings.add(one, 0b010, Some(3));
        findings.add(other, 0b1000, Some(4));
        assert_eq!((findings.clear(one), findings.clear(other)), (0b111, 0));
        assert!(findings.passes(one, 3) && !findings.passes(one, 4) && !findings.passes(other, 4));
    }
}
