//! The scanner: goes from trigger to trigger, and hands the runs of letters and digits around each to the detectors.

mod prefilter;

use std::ops::ControlFlow;

use super::automaton::Automaton;
use super::class::{self, ALNUM, BASE64_EXTRA, BEYOND_HEX, DIGIT, LOWER, MARK, UPPER, at, before};
use super::decoded::Decoded;
use super::key::Key;
use super::trigger::TRIGGERS;
use super::{Detector, Detectors};
use super::{card, cookie, credential, decode, email, iban, ip, number, phone, secret};
use prefilter::Candidate;

/// A match of a detector, in bytes of the text that was scanned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) detector: Detector,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) encoded: bool,
}

/// Receives hits, and may stop the scan.
pub(super) type Report<'a> = dyn FnMut(Hit) -> ControlFlow<()> + 'a;

/// The settings of a scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'k> {
    pub(super) set: Detectors,
    pub(super) key: &'k Key<'k>,
    /// The number of encodings that may still be looked through.
    pub(super) depth: u8,
}

/// A match: the detector, the first byte, and the byte after the last.
pub(super) type Stretch = (Detector, usize, usize);

impl<'k> Search<'k> {
    pub(super) fn has(&self, detector: Detector) -> bool {
        self.set.contains(detector)
    }

    fn deeper(&self) -> Option<Self> {
        Some(Self { depth: self.depth.checked_sub(1)?, ..*self })
    }

    /// Scans `bytes`, and then the text with its escapes resolved.
    pub(super) fn over(&self, bytes: &[u8], report: &mut Report<'_>) -> ControlFlow<()> {
        let triggers: &Automaton = &TRIGGERS;
        let Some(first) = triggers.find(bytes, 0) else {
            return ControlFlow::Continue(());
        };
        self.scan_around(bytes, triggers, first, report)
    }

    /// Scans around the trigger at `first` and around all that follow.
    #[inline(never)]
    fn scan_around(
        &self,
        bytes: &[u8],
        triggers: &Automaton,
        first: usize,
        report: &mut Report<'_>,
    ) -> ControlFlow<()> {
        let mut scanner = Scanner {
            search: self,
            bytes,
            escaped: false,
            decoded: Decoded::NoEscape,
            base64_done: 0,
            tried: credential::Tried::default(),
            secrets: secret::Judged::default(),
            chain: card::Chain::default(),
        };
        // Invariant: every match that begins before `done` was reported, and `done` is at most one byte behind the trigger.
        let mut done = 0;
        let mut trigger = Some(first);
        while let Some(last) = trigger {
            match scanner.candidate(last) {
                Candidate::Version => {
                    scanner.decoded = Decoded::MayMatch;
                    done = last + 1;
                }
                Candidate::Nothing => {
                    scanner.decoded = Decoded::MayMatch;
                    trigger = triggers.find(bytes, last + 1);
                    continue;
                }
                Candidate::Escape(begin) => {
                    let is_escaped;
                    (trigger, done, is_escaped) = scanner.decoded.find(triggers, bytes, begin);
                    scanner.escaped |= is_escaped;
                    continue;
                }
                Candidate::Character => {
                    scanner.fold(last);
                    done = last + 1;
                }
                Candidate::Found(found) => {
                    scanner.decoded = Decoded::MayMatch;
                    let (detector, start, end) = found;
                    if start >= done {
                        report(Hit { detector, start, end, encoded: false })?;
                    }
                    done = end.max(last + 1);
                }
                Candidate::From(begin) => {
                    scanner.decoded = Decoded::MayMatch;
                    let end = scanner.scan(done.max(begin), last, report)?;
                    done = card::beyond_numbers(bytes, end);
                }
            }
            trigger = triggers.find(bytes, done);
        }
        match self.deeper() {
            Some(search) if scanner.escaped && !matches!(scanner.decoded, Decoded::Clean(_)) => {
                decode::unescaped(bytes, &search, report)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Detectors do not distinguish runs longer than this.
const LONG: usize = 64;

/// Returns the end of the run of letters and digits that continues at `index`, and the classes in it.
#[inline(always)]
fn run(bytes: &[u8], mut index: usize, mut seen: u8) -> (usize, u8) {
    // Four at a time: ids and digests are long runs, and one bounds check then serves four bytes.
    while let Some([a, b, c, d]) = class::from(bytes, index).first_chunk::<4>() {
        let class = class::of(*a);
        if class & ALNUM == 0 {
            return (index, seen);
        }
        seen |= class;
        let class = class::of(*b);
        if class & ALNUM == 0 {
            return (index + 1, seen);
        }
        seen |= class;
        let class = class::of(*c);
        if class & ALNUM == 0 {
            return (index + 2, seen);
        }
        seen |= class;
        let class = class::of(*d);
        if class & ALNUM == 0 {
            return (index + 3, seen);
        }
        seen |= class;
        index += 4;
    }
    while let Some(&byte) = bytes.get(index) {
        let class = class::of(byte);
        if class & ALNUM == 0 {
            break;
        }
        seen |= class;
        index += 1;
    }
    (index, seen)
}

/// A scan of one text.
struct Scanner<'p, 'k, 'b> {
    search: &'p Search<'k>,
    bytes: &'b [u8],
    /// Whether the text has an escape, or a character with a plainer form.
    escaped: bool,
    /// Whether the text with its escapes resolved may have a match.
    decoded: Decoded,
    /// Base64 before this was decoded and searched.
    base64_done: usize,
    tried: credential::Tried,
    secrets: secret::Judged,
    chain: card::Chain,
}

impl Scanner<'_, '_, '_> {
    /// Reports the matches that begin from `index` to `last`, and returns the index at which to continue.
    fn scan(&mut self, mut index: usize, last: usize, report: &mut Report<'_>) -> ControlFlow<(), usize> {
        let bytes = self.bytes;
        if class::is_alnum(before(bytes, index)) {
            index += class::count(bytes, index, usize::MAX, class::is_alnum);
        }
        while index <= last {
            let byte = at(bytes, index);
            let class = class::of(byte);
            let found = if class & ALNUM != 0 {
                let start = index;
                let seen;
                (index, seen) = run(bytes.get(..start + LONG).unwrap_or(bytes), start + 1, class);
                let found = if self.may_match(start, index, byte, seen) {
                    let found = self.run(start, index, seen, report)?;
                    index = self.beyond_base64(start, index);
                    found
                } else {
                    None
                };
                if index >= start + LONG && class::is_alnum(before(bytes, index)) {
                    index = run(bytes, index, 0).0;
                }
                found
            } else {
                index += 1;
                if class & MARK == 0 {
                    continue;
                }
                self.mark(index - 1, byte)
            };
            if let Some((detector, start, end)) = found {
                report(Hit { detector, start, end, encoded: false })?;
                index = index.max(end);
            }
        }
        // The trigger of a name ends at its sign or space: a name inside of the scanned text has none any more.
        if let Some((detector, start, end)) = self.named(index) {
            report(Hit { detector, start, end, encoded: false })?;
            index = end;
        }
        ControlFlow::Continue(index)
    }

    /// Returns the match at the sign at `index`, or the secret or cookies whose name ends there.
    fn named(&mut self, index: usize) -> Option<Stretch> {
        let bytes = self.bytes;
        if let byte @ (b':' | b'~' | b'|') = at(bytes, index) {
            return self.mark(index, byte);
        }
        let sign = index + class::count(bytes, index, 3, |byte| matches!(byte, b'"' | b'\'' | b' ' | b'\\' | b']'));
        if matches!(at(bytes, sign), b':' | b'=' | b'>') {
            return self.pair(sign);
        }
        if at(bytes, index) == b' ' {
            return self.phrase(if class::from(bytes, index).starts_with(b" is ") { index + 3 } else { index });
        }
        None
    }

    /// Returns the secret or the cookies after the sign at `index`.
    fn pair(&mut self, index: usize) -> Option<Stretch> {
        let bytes = self.bytes;
        if self.search.has(Detector::Cookie)
            && let Some((start, end)) = cookie::cookie(bytes, index)
        {
            return Some((Detector::Cookie, start, end));
        }
        let (start, end) = self.search.has(Detector::Secret).then(|| self.secrets.pair(bytes, index))??;
        Some((Detector::Secret, start, end))
    }

    /// Returns the secret after ` is ` or a space that ends at `index`.
    fn phrase(&mut self, index: usize) -> Option<Stretch> {
        let (start, end) = self.search.has(Detector::Secret).then(|| self.secrets.phrase(self.bytes, index))??;
        Some((Detector::Secret, start, end))
    }

    /// Whether a detector may match at a run. Most words of clean text are rejected here.
    #[inline(always)]
    fn may_match(&self, start: usize, end: usize, first: u8, seen: u8) -> bool {
        let (second, next) = (at(self.bytes, start + 1), at(self.bytes, end));
        let heads = credential::heads(first);
        let length = end - start;
        let is_grouped = match next {
            // A card, a social security number or a telephone number.
            b' ' | b'+' | b'_' | b'/' if seen == ALNUM | DIGIT => {
                length == 3 || matches!(first, b'0' | b'1') || card::is_issuer_start(first, second)
            }
            b' ' | b'-' | b'.' | b'+' | b'_' | b'/' | b':' => true,
            b')' => seen == ALNUM | DIGIT,
            _ => false,
        };
        (if seen == ALNUM | DIGIT {
            is_grouped || length >= 7
        } else {
            seen & DIGIT != 0 && (is_grouped || length > 4)
        }) || heads >> (second & 127) & 1 != 0
            || (is_grouped && seen & BEYOND_HEX == 0 && length <= 4)
            || (heads & credential::BASE64_HEAD != 0 && (length >= 8 || class::of(next) & BASE64_EXTRA != 0))
    }

    fn run(&mut self, start: usize, end: usize, seen: u8, report: &mut Report<'_>) -> ControlFlow<(), Option<Stretch>> {
        let (search, bytes) = (self.search, self.bytes);
        let found = if seen == ALNUM | DIGIT {
            number::digits(search, &mut self.chain, bytes, start, end)
        } else if seen & DIGIT != 0 && end - start >= 4 && search.has(Detector::Iban) {
            iban::iban(bytes, start).map(|end| (Detector::Iban, start, end))
        } else {
            None
        };
        let found = found
            .or_else(|| {
                if seen & BEYOND_HEX != 0 || end - start > 4 {
                    return None;
                }
                ip::grouped(search, bytes, start, end)
            })
            .or_else(|| {
                let is_head = credential::heads(at(bytes, start)) >> (at(bytes, start + 1) & 127) & 1 != 0;
                if is_head { credential::credential(search, &mut self.tried, bytes, start, end) } else { None }
            });
        let is_mixed = seen & UPPER != 0 && seen & BEYOND_HEX != 0 && seen & (DIGIT | LOWER) != 0;
        let found = found.or_else(|| {
            let (start, end) = if is_mixed { credential::signed_in(bytes, start) } else { None }?;
            search.has(Detector::ProviderToken).then_some((Detector::ProviderToken, start, end))
        });
        if found.is_some() {
            return ControlFlow::Continue(found);
        }
        self.base64(start, end, report)?;
        ControlFlow::Continue(None)
    }

    /// Searches the base64 that begins here, if it does.
    #[inline]
    fn base64(&mut self, start: usize, end: usize, report: &mut Report<'_>) -> ControlFlow<()> {
        if start < self.base64_done
            || credential::heads(at(self.bytes, start)) & credential::BASE64_HEAD == 0
            || (end - start < 8 && class::of(at(self.bytes, end)) & BASE64_EXTRA == 0)
        {
            return ControlFlow::Continue(());
        }
        let Some(search) = self.search.deeper() else {
            return ControlFlow::Continue(());
        };
        self.base64_done = decode::base64(self.bytes, start, &search, report)?;
        ControlFlow::Continue(())
    }

    /// Returns the index at which to continue after the run from `start` to `end`. Long base64 of text is nothing else, but for its
    /// last bytes: the decoder may have read some that belong to the next token.
    #[inline]
    fn beyond_base64(&self, start: usize, end: usize) -> usize {
        const TAIL: usize = 32;
        let index = self.base64_done.saturating_sub(TAIL);
        if start >= self.base64_done || index <= end {
            return end;
        }
        index + class::count(self.bytes, index, usize::MAX, class::is_alnum)
    }

    /// Returns the match at a sign that detectors start from.
    fn mark(&mut self, index: usize, byte: u8) -> Option<Stretch> {
        let (search, bytes) = (self.search, self.bytes);
        let token = |found: Option<(usize, usize)>| {
            found
                .filter(|_| search.has(Detector::ProviderToken))
                .map(|(start, end)| (Detector::ProviderToken, start, end))
        };
        match byte {
            b'@' => self.sign(index),
            b'+' if search.has(Detector::Phone) => {
                phone::international(bytes, index).map(|end| (Detector::Phone, index, end))
            }
            b':' if at(bytes, index + 1) == b':' && !class::is_alnum(before(bytes, index)) => {
                ip::grouped(search, bytes, index, index)
            }
            b':' if class::from(bytes, index).starts_with(b":\"")
                && bytes.get(..index).is_some_and(|head| head.ends_with(b"\"d\"")) =>
            {
                let end = credential::private_exponent(bytes, index + 2).filter(|_| search.has(Detector::Pem))?;
                Some((Detector::Pem, index + 2, end))
            }
            b':' if at(bytes, index + 1) == b'A' => {
                token(credential::telegram(bytes, index)).or_else(|| self.pair(index))
            }
            b':' | b'=' | b'>' => self.pair(index),
            b'~' => token(credential::azure_secret(bytes, index)),
            b'|' => token(credential::app_secret(bytes, index)),
            b'%' => {
                self.escaped |= decode::is_percent(bytes, index);
                None
            }
            0x80.. => {
                self.escaped |= self.escaped || decode::folds(bytes, index);
                None
            }
            _ => None,
        }
    }

    /// Returns the match around the `@` at `index`.
    fn sign(&self, index: usize) -> Option<Stretch> {
        let (search, bytes) = (self.search, self.bytes);
        credential::user_info(bytes, index)
            .filter(|_| search.has(Detector::Basic))
            .map(|start| (Detector::Basic, start, index))
            .or_else(|| {
                let (start, end) = email::email(bytes, index).filter(|_| search.has(Detector::Email))?;
                Some((Detector::Email, start, end))
            })
    }
}
