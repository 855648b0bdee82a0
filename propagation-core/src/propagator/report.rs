//! `tracing` events for fields that were rejected or changed: key, rule and peer, never a value.

mod remedy;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use crate::{Direction, EscapedText, Peer, RejectReason, Rejection};

/// Says what was refused, at most [`PER_SECOND`] times a second for each reason and direction; the next one says how many
/// were left unsaid.
#[derive(Debug)]
pub(crate) struct RejectionReporter {
    began: Instant,
    inbound: Box<[Slot]>,
    outbound: Box<[Slot]>,
}

/// A hostile caller must not be able to fill a disk.
const PER_SECOND: u64 = 10;

#[derive(Debug, Default)]
struct Slot {
    second: AtomicU64,
    said: AtomicU64,
    unsaid: AtomicU64,
}

impl Default for RejectionReporter {
    fn default() -> Self {
        let slots = || RejectReason::ALL.iter().map(|_| Slot::default()).collect();
        Self { began: Instant::now(), inbound: slots(), outbound: slots() }
    }
}

impl RejectionReporter {
    pub(crate) fn say(&self, direction: Direction, peer: &Peer<'_>, rejections: &[Rejection]) {
        if rejections.is_empty() || !tracing::event_enabled!(target: "propagation", tracing::Level::WARN) {
            return;
        }
        let second = self.began.elapsed().as_secs();
        for rejection in rejections {
            let slots = match direction {
                Direction::Inbound => &self.inbound,
                Direction::Outbound => &self.outbound,
            };
            let Some(unsaid) = slots.get(rejection.reason as usize).and_then(|slot| slot.turn(second)) else {
                continue;
            };
            let remedy = remedy::remedy(direction, peer, rejection);
            let rule = rejection.rule.as_deref().map(|rule| EscapedText::new(rule).to_string());
            tracing::warn!(
                target: "propagation",
                direction = direction.as_str(),
                peer = %peer,
                field = rejection.field,
                key = rejection.key.as_deref(),
                reason = rejection.underlying.unwrap_or(rejection.reason).as_str(),
                mode = rejection.underlying.map(|_| "report"),
                rule = rule.as_deref(),
                remedy = remedy.as_ref().map(tracing::field::display),
                unsaid,
                "{}",
                message(rejection)
            );
        }
    }
}

/// The outcome of a field, as the message of its event.
fn message(rejection: &Rejection) -> &'static str {
    match rejection.reason {
        RejectReason::ReportOnly => "context field crossed in report mode; it would be blocked",
        RejectReason::Scrubbed => "context field changed by a scrubber",
        _ => "context field rejected",
    }
}

impl Slot {
    /// Whether it may speak in this second, and how many before could not.
    fn turn(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.said.store(0, Ordering::Relaxed);
        }
        if self.said.fetch_add(1, Ordering::Relaxed) >= PER_SECOND {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_said() {
        let slot = Slot::default();
        let said = (0..100).filter(|_| slot.turn(7).is_some()).count();
        assert_eq!(said, 10);
        assert_eq!(slot.turn(8), Some(90));
    }
}
