//! The check around a trigger before any detector runs, which rejects most clean text.

use super::{Scanner, Stretch};
use crate::class::{self, LOWER, UPPER, at, before, from};
use crate::decoded::Decoded;
use crate::trigger::REACH;
use crate::{Detector, card, command, credential, decode, email, iban};

/// The kinds of triggers, and how the scanner continues.
pub(super) enum Candidate {
    /// The last number of a version: nothing before its end matches.
    Version,
    /// No detector can match here. A match that begins earlier has a trigger of its own.
    Nothing,
    /// An escape begins here.
    Escape(usize),
    /// A character that may have a plainer form.
    Character,
    /// A match that follows from the trigger alone.
    Found(Stretch),
    /// A match may begin here or later.
    From(usize),
}

impl Scanner<'_, '_, '_> {
    /// Returns the kind of the trigger that ends at `last`.
    #[inline(always)]
    pub(super) fn candidate(&mut self, last: usize) -> Candidate {
        let bytes = self.bytes;
        if self.is_version(last) {
            return Candidate::Version;
        }
        if self.is_unissued(last) {
            return Candidate::Nothing;
        }
        if let Some(begin) = self.escape(last) {
            return Candidate::Escape(begin);
        }
        if let Some(found) = self.signed(last) {
            return Candidate::Found(found);
        }
        let near = Candidate::From(last.saturating_sub(REACH));
        match at(bytes, last) {
            0x80.. => Candidate::Character,
            b'0'..=b'9' => match self.account(last) {
                None => near,
                Some(start) if self.is_of_no_country(start) => Candidate::Nothing,
                Some(start) => Candidate::From(start),
            },
            b'@' if self.sign(last).is_none() => Candidate::Nothing,
            // `(415)` begins a telephone number.
            b')' if before(bytes, last).is_ascii_digit() => near,
            b' ' | b')' | b']' | b'}' | b';' => self.spoken(last).map_or(Candidate::Nothing, Candidate::Found),
            _ => near,
        }
    }

    /// Returns the key whose signature ends at `last`.
    fn signed(&self, last: usize) -> Option<Stretch> {
        let (start, end) = match at(self.bytes, last) {
            b'-' => credential::mailgun(self.bytes, last),
            b'9' | b'A'..=b'Z' | b'a'..=b'z' => credential::signed(self.bytes, last),
            _ => None,
        }?;
        self.search.has(Detector::ProviderToken).then_some((Detector::ProviderToken, start, end))
    }

    /// Returns the secret or the address in words whose trigger ends at `last`: `password is …`, `anna at example dot com`.
    fn spoken(&mut self, last: usize) -> Option<Stretch> {
        if at(self.bytes, last) == b' '
            && let Some(found) = self.named(last)
        {
            return Some(found);
        }
        if at(self.bytes, last) == b' '
            && let Some(found) =
                command::credential(self.bytes, last).filter(|(detector, ..)| self.search.has(*detector))
        {
            return Some(found);
        }
        let (start, end) = email::spelled(self.bytes, last).filter(|_| self.search.has(Detector::Email))?;
        Some((Detector::Email, start, end))
    }

    /// Returns the start of the escape, real or apparent, that ends at `last`.
    #[inline(always)]
    fn escape(&self, last: usize) -> Option<usize> {
        let bytes = self.bytes;
        match at(bytes, last) {
            b'n' | b'r' | b't' | b'u' if before(bytes, last) == b'\\' => Some(last - 1),
            _ => last.checked_sub(2).filter(|start| decode::is_percent(bytes, *start)),
        }
    }

    /// Records whether the character that ends at `last` has a plainer form.
    pub(super) fn fold(&mut self, last: usize) {
        if decode::is_folded(self.bytes, last) {
            self.escaped = true;
            self.decoded = Decoded::MayMatch;
        }
    }

    /// Whether the trigger is in a long number that no card begins like: an epoch, mostly.
    #[inline(always)]
    fn is_unissued(&self, last: usize) -> bool {
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

    /// Returns the start of the run whose first two letters and two digits are the trigger, if no match that begins earlier can
    /// continue in it.
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

    /// Whether no account number, no credential and no base64 of text begins with the two letters at `start`.
    fn is_of_no_country(&self, start: usize) -> bool {
        let second = at(self.bytes, start + 1);
        let first = at(self.bytes, start);
        !iban::is_country(first, second) && !decode::may_be_text(second) && !credential::may_have_digit(first, second)
    }

    /// Whether the trigger ends in the last number of `Chrome/120.0.0.0`, which every browser sends.
    fn is_version(&self, last: usize) -> bool {
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
