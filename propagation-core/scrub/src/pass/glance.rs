//! A first look around a trigger, for as little as tells most of clean text.

use super::Walk;
use crate::class::{self, LOWER, UPPER, at, before, from};
use crate::reading::Reading;
use crate::trigger::REACH;
use crate::{card, decode, iban};

/// What a first look around a trigger says.
pub(super) enum Glance {
    /// It is none of what it could be, and what begins before it and may be something has another trigger.
    Nothing,
    /// Whatever it is begins here or later.
    From(usize),
}

impl Walk<'_, '_, '_> {
    /// Where the escape begins, or what looks like one, that is the trigger that ends at `last`.
    #[inline(always)]
    pub(super) fn escape(&self, last: usize) -> Option<usize> {
        let bytes = self.bytes;
        match at(bytes, last) {
            b'n' | b'r' | b't' | b'u' if before(bytes, last) == b'\\' => Some(last - 1),
            _ => last.checked_sub(2).filter(|start| decode::is_percent(bytes, *start)),
        }
    }

    /// Notes that the character that ends at `last`, and is a trigger, has a plainer form.
    pub(super) fn fold(&mut self, last: usize) {
        if decode::is_folded(self.bytes, last) {
            self.escaped = true;
            self.reading = Reading::Suspect;
        }
    }

    /// Looks around the trigger that ends at `last`, for as little as tells most of clean text.
    #[inline(always)]
    pub(super) fn glance(&self, last: usize) -> Glance {
        let bytes = self.bytes;
        let near = Glance::From(last.saturating_sub(REACH));
        match at(bytes, last) {
            b'0'..=b'9' => match self.account(last) {
                None => near,
                Some(start) if self.is_of_no_country(start) => Glance::Nothing,
                Some(start) => Glance::From(start),
            },
            b'@' if self.sign(last).is_none() => Glance::Nothing,
            _ => near,
        }
    }

    /// Whether the trigger that ends at `last` is in a long number that no card begins like: an epoch, mostly.
    #[inline(always)]
    pub(super) fn is_unissued(&self, last: usize) -> bool {
        let bytes = self.bytes;
        let Some(start) = (last + 1).checked_sub(card::SHORTEST_CARD) else {
            return false;
        };
        let Some(digits) = from(bytes, start).first_chunk::<{ card::SHORTEST_CARD }>() else {
            return false;
        };
        digits.iter().fold(true, |all, byte| all & byte.is_ascii_digit())
            && (class::is_alnum(before(bytes, start)) || !card::is_issuer_start(at(bytes, start), at(bytes, start + 1)))
    }

    /// Where the run begins whose first two letters and two digits are the trigger that ends at `last`, if nothing that began before
    /// can go on in it.
    fn account(&self, last: usize) -> Option<usize> {
        let start = last.checked_sub(3)?;
        let [first, second, third, _] = from(self.bytes, start).first_chunk()?;
        let is_letter = |byte: u8| class::of(byte) & (UPPER | LOWER) != 0;
        let previous = before(self.bytes, start);
        (is_letter(*second)
            && is_letter(*first)
            && third.is_ascii_digit()
            && !class::is_alnum(previous)
            && !matches!(previous, b'.' | b':'))
        .then_some(start)
    }

    /// Whether neither an account number nor base64 of text begins with the two letters at `start`.
    fn is_of_no_country(&self, start: usize) -> bool {
        let second = at(self.bytes, start + 1);
        !iban::is_country(at(self.bytes, start), second) && !decode::may_be_text(second)
    }

    /// Whether the trigger that ends at `last` is the last number of `Chrome/120.0.0.0`, which every browser sends.
    pub(super) fn is_version(&self, last: usize) -> bool {
        const LONGEST: usize = 14;
        if before(self.bytes, last) != b'.' || !at(self.bytes, last).is_ascii_digit() {
            return false;
        }
        let head = self.bytes.get(..=last).unwrap_or(&[]);
        let (mut dots, mut start) = (0, head.len());
        for byte in head.iter().rev().take(LONGEST + 1) {
            if *byte == b'.' {
                dots += 1;
            } else if !byte.is_ascii_digit() {
                break;
            }
            start -= 1;
        }
        let is_named = match before(head, start) {
            b'/' => class::is_alnum(before(head, start.saturating_sub(1))),
            byte => class::is_alnum(byte),
        };
        dots == 3 && head.len() - start <= LONGEST && is_named
    }
}
