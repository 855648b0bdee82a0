#![doc = include_str!("../README.md")]
//!
//! # How it works
//!
//! [`scan`] stops at the first finding; [`find_all`] returns all of them. Both are pure functions of a key and a value. A caller decides which
//! [`Detectors`] run and how a [`Finding`] is handled.
//!
//! ```text
//!  value ──▶ trigger automaton ──no trigger──▶ clean: most values end here, at five instructions a byte
//!                   │ trigger
//!                   ▼
//!            scan::prefilter ──version, epoch, …──▶ next trigger
//!                   │ Candidate
//!      ┌────────────┼───────────────────────┐
//!      ▼            ▼                       ▼
//!   Escape      Character                From(start)
//!      │            │                       │  split into runs of letters and digits
//!      ▼            ▼                       ▼
//!   decoded: does the decoded text     detectors: number (card, ssn, phone), iban, ip, mac, email,
//!   have a trigger, too?               credential (table, shape, jwt, pem, authorization, url), cookie, secret, command
//!      │ yes                                │ base64 of text
//!      ▼                                    ▼
//!   decode: window by window, and scan again, at most three encodings deep
//! ```
//!
//! Invariants, on which the linear time and the completeness rest:
//!
//! 1. Every match has a trigger that ends at most `REACH` bytes after the start of the match, or at the sign from which its check starts.
//! 2. `done` only grows: each byte is scanned once for each encoding, but for `REACH` bytes before a trigger.
//! 3. A detector that looks back or ahead without limit caches where it has been (`card::Chain`, `credential::Tried`, `secret::Judged`).
//! 4. If neither the raw nor the decoded text has a trigger, the text is not decoded.
//!
//! Each detector is one file that depends on `class` (bytes) and `key` (hints) alone. A new token format is one row of
//! `credential/table.rs`.
//!
//! Both functions take a few kilobytes of stack. [`scan`] never allocates, except for the table that the first scan in a process builds.
//! Base64 is recognised by its first five bytes, which must be printable ASCII. Most detectors also look one byte to the left and to the
//! right: the digits inside a UUID are not a payment card, and the numbers after `Chrome/` are not an address.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod automaton;
mod card;
mod class;
mod command;
mod cookie;
mod credential;
mod decode;
mod decoded;
mod detector;
mod email;
mod iban;
mod ip;
mod key;
mod mac;
mod number;
mod phone;
mod random;
mod scan;
mod secret;
mod ssn;
#[cfg(test)]
mod tests;
mod trigger;
mod url_key;

use std::ops::{ControlFlow, Range};
use std::sync::LazyLock;

pub use detector::{Detector, Detectors, UnknownDetector};
pub use url_key::is_secret_query_key;

use scan::{Hit, Report, Search};

/// The number of nested encodings that are looked through, such as base64 of percent-encoding of base64.
///
/// Percent-encoding counts once, however often it was applied.
const DEPTH: u8 = 3;

/// More findings than this inside encoded text are reported as one finding over the whole value.
///
/// Each takes a pass of the decoder to find its place; the limit keeps [`find_all`] linear.
const MOST_ENCODED: usize = 32;

/// A part of a value that a detector recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The detector that recognised it.
    pub detector: Detector,
    /// Its bytes in the value as given. Never empty, always inside the value, and whole characters if the value is UTF-8.
    pub span: Range<usize>,
    /// Whether it was found only after decoding. The span then covers its encoded form.
    pub encoded: bool,
}

/// Builds the table that all scans share: about 2.5 MiB, in some fifteen milliseconds of a release build.
///
/// Otherwise the first [`scan`] does it. Call this at start-up.
pub fn prepare() {
    LazyLock::force(&trigger::TRIGGERS);
}

/// Returns the first finding of any detector of `set` in `value`.
///
/// A value of baggage is percent-decoded once before. The `key` is a hint and is not searched itself: `password` makes a random value a
/// secret, `version` keeps `1.2.3.4` from being an address. Pass an empty key if there is none; to search a key, pass it as the value.
///
/// ```
/// use propagation_scrub::{Detector, Detectors, scan};
///
/// let finding = scan(Detectors::all(), b"note", b"mail to anna@example.com");
/// assert_eq!(finding.map(|it| it.detector), Some(Detector::Email));
/// ```
#[must_use]
pub fn scan(set: Detectors, key: &[u8], value: &[u8]) -> Option<Finding> {
    let mut first = None;
    let _ = search(Search { set, key: &key::Key::new(key), depth: DEPTH }, value, &mut |hit| {
        first = Some(Finding::of(hit, value));
        ControlFlow::Break(())
    });
    first
}

/// Returns all findings of the detectors of `set` in `value`, in order and without overlaps.
///
/// Findings that overlap are united under the detector of the one that starts first. An empty list, which does not allocate, corresponds
/// to `None` of [`scan`].
#[must_use]
pub fn find_all(set: Detectors, key: &[u8], value: &[u8]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut encoded = 0;
    let searched = search(Search { set, key: &key::Key::new(key), depth: DEPTH }, value, &mut |hit| {
        encoded += usize::from(hit.encoded);
        found.push(Finding::of(hit, value));
        if encoded > MOST_ENCODED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if searched.is_break() {
        found.truncate(1);
        for whole in &mut found {
            whole.span = 0..value.len();
            whole.encoded = true;
        }
        return found;
    }
    found.sort_by_key(|finding| (finding.span.start, finding.span.end));
    found.dedup_by(|next, kept| {
        let overlap = next.span.start < kept.span.end;
        if overlap {
            kept.span.end = kept.span.end.max(next.span.end);
            kept.encoded |= next.encoded;
        }
        overlap
    });
    found
}

impl Finding {
    /// Returns the finding of a hit in `value`, widened to whole characters where a limit on length would cut one.
    fn of(hit: Hit, value: &[u8]) -> Self {
        let goes_on = |index: usize| value.get(index).is_some_and(|byte| matches!(byte, 0x80..=0xBF));
        let mut span = hit.start..hit.end;
        for _ in 0..3 {
            span.start -= usize::from(span.start > 0 && goes_on(span.start));
            span.end += usize::from(goes_on(span.end));
        }
        Self { detector: hit.detector, span, encoded: hit.encoded }
    }
}

/// Returns whether [`scan`] may find anything in a text, under a key without a [hint](key_hint). Rejects most texts, at five instructions a
/// byte. Several texts can be checked at once, with neither letters nor digits between them.
#[must_use]
pub fn may_match(text: &[u8]) -> bool {
    trigger::TRIGGERS.find(text, 0).is_some()
}

/// Returns whether a key is a hint: with it, [`scan`] may find a secret, a cookie or a number that it would not find without.
#[must_use]
pub fn key_hint(key: &[u8]) -> bool {
    let hints = key::Hints::of(key);
    hints.names_secret(key) || key::is_cookie(key) || hints.may_be_number() && (key::is_phone(key) || key::is_ssn(key))
}

fn search(search: Search<'_>, value: &[u8], report: &mut Report<'_>) -> ControlFlow<()> {
    if search.set.is_empty() {
        return ControlFlow::Continue(());
    }
    search.over(value, report)?;
    let may_be_secret =
        (search.has(Detector::Secret) || search.has(Detector::Cookie)) && value.len() >= secret::SHORTEST;
    let may_be_local = number::may_be_local(value);
    if search.key.bytes.is_empty() || !(may_be_secret || may_be_local) {
        return ControlFlow::Continue(());
    }
    let hints = key::Hints::of(search.key.bytes);
    if may_be_local
        && hints.may_be_number()
        && let Some((detector, start, end)) = number::local(&search, value)
    {
        report(Hit { detector, start, end, encoded: false })?;
    }
    if search.has(Detector::Cookie) && key::is_cookie(search.key.bytes) && cookie::is_secret(value) {
        report(Hit { detector: Detector::Cookie, start: 0, end: value.len(), encoded: false })?;
    }
    if may_be_secret && search.has(Detector::Secret) && hints.names_secret(search.key.bytes) {
        let plain = random::looks_random(value);
        if plain || random::looks_random_full_width(value) {
            report(Hit { detector: Detector::Secret, start: 0, end: value.len(), encoded: !plain })?;
        }
    }
    ControlFlow::Continue(())
}
