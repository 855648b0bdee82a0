#![doc = include_str!("../README.md")]
//!
//! # How it works
//!
//! This is mechanism only: pure functions over a key and a value, with no idea of a policy, a rule or an action. A policy
//! decides which [`Detectors`] run and what happens to a [`Finding`].
//!
//! - [`scan`] answers whether a value may cross, as fast as it can: the first finding ends it.
//! - [`find_all`] answers what to cut out of a value that may cross changed.
//!
//! Both look through what a value may be wrapped in: percent-encoding of any depth, base64 (standard or URL-safe, padded
//! or not), the escapes of JSON, full-width forms, the Unicode spaces and dashes that documents put between digits, and
//! mixtures of these. Base64 is known by its first five bytes being printable ASCII.
//! Both take time linear in the input, on every input, and a few kilobytes of stack. [`scan`] never allocates, but for the
//! tables that the first one in a process builds.
//!
//! A number is only as suspicious as its context, so most detectors look one byte to the left and to the right: the digits
//! inside a UUID are no payment card, and the numbers after `Chrome/` are no IP address.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod automaton;
mod card;
mod class;
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

/// How many wrappings inside one another are looked through: base64 of percent-encoding of base64, say.
///
/// Percent-encoding counts once however often it was applied.
const DEPTH: u8 = 3;

/// More findings than this inside encoded text are reported as one finding over the whole value.
///
/// Each needs a walk through the decoder to find where it came from; the cap keeps [`find_all`] linear.
const MOST_ENCODED: usize = 32;

/// Something in a value that a detector recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was recognised.
    pub detector: Detector,
    /// Where it is, in bytes of the value as it was given. Never empty, always inside the value, and of whole characters if
    /// the value is UTF-8.
    pub span: Range<usize>,
    /// Whether it showed only after decoding. The span then covers its encoded form.
    pub encoded: bool,
}

/// Builds the tables that all scans share, which takes about two milliseconds.
///
/// Otherwise the first [`scan`] does it. Call this where waiting hurts nobody: when a policy is compiled.
pub fn prepare() {
    LazyLock::force(&trigger::TRIGGERS);
}

/// The first thing that any detector of `set` recognises in `value`, or `None`.
///
/// The value is what a baggage value is after percent-decoding once. The `key` it stands under is a hint and is not itself
/// searched: `Secret` needs a telling key, `version` keeps `1.2.3.4` from being an address. Pass an empty key if there is
/// none; to search a key, pass it as the value.
#[must_use]
pub fn scan(set: Detectors, key: &[u8], value: &[u8]) -> Option<Finding> {
    let mut first = None;
    let _ = search(Search { set, key: &key::Key::new(key), depth: DEPTH }, value, &mut |hit| {
        first = Some(Finding::of(hit, value));
        ControlFlow::Break(())
    });
    first
}

/// Everything that the detectors of `set` recognise in `value`, in order, none overlapping another.
///
/// Findings that overlap are united under the detector of the one that starts first. An empty list, which does not
/// allocate, means what `None` means for [`scan`].
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
    /// The finding of a hit in `value`, widened to whole characters where a limit on length would cut one.
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

/// Whether [`scan`] may recognise anything in a text, under a key that says [nothing](key_hint) of it. Most texts are told to be clean
/// here; several at once, if what stands between them is neither letter nor digit.
#[must_use]
pub fn may_match(text: &[u8]) -> bool {
    trigger::TRIGGERS.find(text, 0).is_some()
}

/// Whether a key lets [`scan`] recognise what it would not without: a secret, or a number.
#[must_use]
pub fn key_hint(key: &[u8]) -> bool {
    let hints = key::Hints::of(key);
    hints.tell(key) || key::is_cookie(key) || hints.may_be_number() && (key::is_phone(key) || key::is_ssn(key))
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
    if may_be_secret && search.has(Detector::Secret) && hints.tell(search.key.bytes) {
        let plain = random::looks_random(value);
        if plain || random::looks_random_full_width(value) {
            report(Hit { detector: Detector::Secret, start: 0, end: value.len(), encoded: !plain })?;
        }
    }
    ControlFlow::Continue(())
}
