//! Counters of rejected, dropped, changed and restarted fields.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use smallvec::SmallVec;

use crate::{Direction, RejectReason, Rejection};

/// Counts rejections by reason and direction since the propagator was made. Shared by all its clones.
///
/// ```
/// use propagation_core::{Direction, Peer, Propagator, RejectReason, Transport};
///
/// let propagator = Propagator::default();
/// let hostile = vec![("traceparent".to_owned(), b"00-nonsense".to_vec())];
/// propagator.extract(&Peer::caller(Transport::HTTP), &hostile);
/// assert_eq!(propagator.counters().get(Direction::Inbound, RejectReason::Malformed), 1);
/// ```
pub struct Counters {
    inbound: Box<[Counter]>,
    outbound: Box<[Counter]>,
    spans_not_exported: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        let zeros = || RejectReason::ALL.iter().map(|_| Counter::default()).collect();
        Self { inbound: zeros(), outbound: zeros(), spans_not_exported: AtomicU64::new(0) }
    }
}

impl Counters {
    /// Returns the number of rejections for a reason.
    #[must_use]
    pub fn get(&self, direction: Direction, reason: RejectReason) -> u64 {
        self.counter(direction, reason).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Returns the counts that are not zero.
    pub fn iter(&self) -> impl Iterator<Item = (Direction, RejectReason, u64)> {
        [Direction::Inbound, Direction::Outbound]
            .into_iter()
            .flat_map(move |direction| {
                RejectReason::ALL.iter().map(move |&reason| (direction, reason, self.get(direction, reason)))
            })
            .filter(|(_, _, count)| *count > 0)
    }

    /// Returns how many spans could not be exported, if the exporter was made by a set-up that counts them.
    #[must_use]
    pub fn spans_not_exported(&self) -> u64 {
        self.spans_not_exported.load(Ordering::Relaxed)
    }

    /// Adds spans that could not be exported. For crates that make exporters.
    pub fn add_spans_not_exported(&self, spans: u64) {
        self.spans_not_exported.fetch_add(spans, Ordering::Relaxed);
    }

    /// Counts the rejections of one message: one write for each reason, however many members it has.
    pub(crate) fn record(&self, direction: Direction, reasons: &[(RejectReason, u64)]) {
        for (reason, count) in reasons {
            self.add(direction, *reason, *count);
        }
    }

    pub(crate) fn add(&self, direction: Direction, reason: RejectReason, count: u64) {
        if let Some(counter) = self.counter(direction, reason) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn counter(&self, direction: Direction, reason: RejectReason) -> Option<&AtomicU64> {
        let counts = match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        };
        counts.get(reason as usize).map(|counter| &counter.0)
    }
}

/// A counter on a cache line of its own: threads that count other reasons do not wait for it.
#[derive(Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

/// Returns the reasons of one message's rejections, each with its number, in the order in which they occur.
pub(super) fn by_reason(rejections: &[Rejection]) -> SmallVec<[(RejectReason, u64); 4]> {
    let mut reasons: SmallVec<[(RejectReason, u64); 4]> = SmallVec::new();
    // The members of one list are mostly rejected for the same reason.
    for alike in rejections.chunk_by(|one, next| one.reason == next.reason) {
        let (Some(first), number) = (alike.first(), alike.len() as u64) else { continue };
        match reasons.iter_mut().find(|(reason, _)| *reason == first.reason) {
            Some((_, count)) => *count += number,
            None => reasons.push((first.reason, number)),
        }
    }
    reasons
}

impl fmt::Debug for Counters {
    /// Names the counts that are not zero: `Counters { inbound: {malformed: 1}, outbound: {} }`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |direction| Named(self, direction);
        let mut counters = f.debug_struct("Counters");
        counters.field("inbound", &of(Direction::Inbound)).field("outbound", &of(Direction::Outbound));
        if self.spans_not_exported() > 0 {
            counters.field("spans_not_exported", &self.spans_not_exported());
        }
        counters.finish()
    }
}

/// The counts of one direction, by name.
struct Named<'a>(&'a Counters, Direction);

impl fmt::Debug for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.iter().filter(|(direction, ..)| *direction == self.1);
        let mut map = f.debug_map();
        for (_, reason, count) in counts {
            map.entry(&format_args!("{reason}"), &count);
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_once_each_in_order() {
        let reasons =
            [RejectReason::NotAllowed, RejectReason::NotAllowed, RejectReason::Malformed, RejectReason::NotAllowed];
        let rejections = reasons.map(|reason| Rejection::new("baggage", reason));
        assert_eq!(by_reason(&rejections)[..], [(RejectReason::NotAllowed, 3), (RejectReason::Malformed, 1)]);
        assert!(by_reason(&[]).is_empty());
    }
}
