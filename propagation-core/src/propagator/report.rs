//! `tracing` events for fields that were rejected or changed: key, rule and peer, never a value.

mod remedy;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use crate::{Direction, EscapedText, Peer, RejectReason, Rejection};

/// Emits the events, at most [`PER_SECOND`] for each reason and direction. The next one has the number that were suppressed before it.
#[derive(Debug)]
pub(crate) struct RejectionReporter {
    began: Instant,
    inbound: Box<[Slot]>,
    outbound: Box<[Slot]>,
}

/// A hostile caller must not be able to fill a disk.
const PER_SECOND: u64 = 10;

/// The events of one reason and direction.
#[derive(Debug, Default)]
struct Slot {
    /// The second that `emitted` is about, since the reporter was made.
    second: AtomicU64,
    emitted: AtomicU64,
    suppressed: AtomicU64,
}

/// The events that one message may emit for a reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Turn {
    events: u64,
    suppressed_before: u64,
}

impl Default for RejectionReporter {
    fn default() -> Self {
        let slots = || RejectReason::ALL.iter().map(|_| Slot::default()).collect();
        Self { began: Instant::now(), inbound: slots(), outbound: slots() }
    }
}

impl RejectionReporter {
    /// Emits events for the rejections of one message, whose `reasons` are counted already. Writes to shared memory once for each reason,
    /// not for each rejection.
    pub(crate) fn report(
        &self,
        direction: Direction,
        peer: &Peer<'_>,
        rejections: &[Rejection],
        reasons: &[(RejectReason, u64)],
    ) {
        if rejections.is_empty() || !tracing::event_enabled!(target: "propagation", tracing::Level::WARN) {
            return;
        }
        let slots = match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        };
        let second = self.began.elapsed().as_secs();
        for &(reason, count) in reasons {
            let Some(slot) = slots.get(reason as usize) else { continue };
            let Turn { events, mut suppressed_before } = slot.turn(second, count);
            let events = usize::try_from(events).unwrap_or(usize::MAX);
            for rejection in rejections.iter().filter(|rejection| rejection.reason == reason).take(events) {
                emit(direction, peer, rejection, std::mem::take(&mut suppressed_before));
            }
        }
    }
}

fn emit(direction: Direction, peer: &Peer<'_>, rejection: &Rejection, suppressed: u64) {
    let remedy = remedy::remedy(direction, peer, rejection);
    let rule = rejection.rule().map(|rule| EscapedText::new(rule).to_string());
    let detector = rejection.detector().map(|detector| EscapedText::new(detector).to_string());
    tracing::warn!(
        target: "propagation",
        direction = direction.as_str(),
        peer = %peer,
        field = rejection.field,
        key = rejection.key(),
        reason = rejection.underlying.unwrap_or(rejection.reason).as_str(),
        mode = rejection.underlying.map(|_| "report"),
        rule = rule.as_deref(),
        detector = detector.as_deref(),
        remedy = remedy.as_ref().map(tracing::field::display),
        suppressed,
        "{}",
        message(rejection)
    );
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
    /// Takes turns for the events of one message, as far as this second has any left.
    fn turn(&self, second: u64, wanted: u64) -> Turn {
        // Reads first: under a flood, threads only read these lines until the second is over.
        if self.second.load(Ordering::Relaxed) != second && self.second.swap(second, Ordering::Relaxed) != second {
            self.emitted.store(0, Ordering::Relaxed);
        }
        let mut emitted = self.emitted.load(Ordering::Relaxed);
        if emitted < PER_SECOND {
            emitted = self.emitted.fetch_add(wanted, Ordering::Relaxed);
        }
        let events = PER_SECOND.saturating_sub(emitted).min(wanted);
        let report_suppressed = events > 0 && self.suppressed.load(Ordering::Relaxed) > 0;
        let suppressed_before = if report_suppressed { self.suppressed.swap(0, Ordering::Relaxed) } else { 0 };
        if events < wanted {
            self.suppressed.fetch_add(wanted - events, Ordering::Relaxed);
        }
        Turn { events, suppressed_before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_is_suppressed_and_counted() {
        let slot = Slot::default();
        let emitted: u64 = (0..100).map(|_| slot.turn(7, 1).events).sum();
        assert_eq!(emitted, PER_SECOND);
        assert_eq!(slot.turn(8, 1), Turn { events: 1, suppressed_before: 90 });
    }

    #[test]
    fn message_of_many_members_takes_the_rest() {
        let slot = Slot::default();
        assert_eq!(slot.turn(1, 4), Turn { events: 4, suppressed_before: 0 });
        assert_eq!(slot.turn(1, 64), Turn { events: 6, suppressed_before: 0 });
        assert_eq!(slot.turn(1, 64), Turn::default());
        assert_eq!(slot.turn(2, 64), Turn { events: 10, suppressed_before: 58 + 64 });
        assert_eq!(slot.turn(3, 1), Turn { events: 1, suppressed_before: 54 });
    }
}
