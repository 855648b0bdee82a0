//! One row of the table of token formats, and the look-up by the first bytes of a run.

use std::ops::Range;

use super::table::FORMATS;
use crate::Detector;
use crate::automaton::{Bytes, Place, Times};
use crate::class::{at, from, is_alnum};

const DIGIT: Bytes = Bytes::range(b'0', b'9');
const SMALL: Bytes = Bytes::range(b'a', b'z');
const CAPITAL: Bytes = Bytes::range(b'A', b'Z');

pub(super) const HEX: Bytes = DIGIT.or(Bytes::range(b'a', b'f')).or(Bytes::range(b'A', b'F'));
pub(super) const LOWER: Bytes = SMALL.or(DIGIT);
pub(super) const UPPER: Bytes = CAPITAL.or(DIGIT);
pub(super) const ALNUM: Bytes = SMALL.or(UPPER);
pub(super) const WORD: Bytes = ALNUM.or(Bytes::of(b"_"));
pub(super) const DASHED: Bytes = ALNUM.or(Bytes::of(b"-"));
pub(super) const URL_SAFE: Bytes = ALNUM.or(Bytes::of(b"-_"));
pub(super) const DOTTED: Bytes = ALNUM.or(Bytes::of(b"-_."));
pub(super) const BASE64: Bytes = ALNUM.or(Bytes::of(b"+/="));
pub(super) const ANY: Bytes = ALNUM.or(Bytes::of(b"-_.~+/=:%"));
/// The parts of a password hash, or of a token with `$` or `!` between its parts.
pub(super) const HASHED: Bytes = ALNUM.or(Bytes::of(b"$!./=,+-_"));
/// Two hexadecimal numbers with a colon between them.
pub(super) const HEX_PAIR: Bytes = HEX.or(Bytes::of(b":"));
/// The rest of an address, from a slash on.
pub(super) const PATH: Bytes = ALNUM.or(Bytes::of(b"-_./@?&=%"));

/// No limit on the length.
pub(super) const OPEN: usize = usize::MAX;

/// A token format: see [`FORMATS`].
pub(crate) struct Format {
    pub(super) detector: Detector,
    pub(super) prefixes: &'static [&'static str],
    pub(super) alphabet: Bytes,
    pub(super) is_mixed: bool,
    pub(super) least: usize,
    pub(super) most: usize,
}

impl Format {
    /// Returns the end of the token of this format that begins at `start`.
    fn end(&self, bytes: &[u8], start: usize) -> Option<usize> {
        let rest = from(bytes, start);
        let prefix = self.prefixes.iter().find(|prefix| rest.starts_with(prefix.as_bytes()))?;
        let body = start + prefix.len();
        let length = from(bytes, body).iter().take(self.most).take_while(|byte| self.alphabet.contains(**byte)).count();
        // Punctuation at the end belongs to the sentence.
        let text = bytes.get(body..body + length)?;
        let text = text.trim_suffix_bytes(b".:?&%");
        let end = body + text.len();
        (text.len() >= self.least && !is_alnum(at(bytes, end)) && (!self.is_mixed || is_mixed(text))).then_some(end)
    }
}

trait TrimSuffix {
    fn trim_suffix_bytes(&self, bytes: &[u8]) -> &Self;
}

impl TrimSuffix for [u8] {
    fn trim_suffix_bytes(&self, bytes: &[u8]) -> &Self {
        let trimmed = self.iter().rev().take_while(|byte| bytes.contains(byte)).count();
        self.get(..self.len() - trimmed).unwrap_or(self)
    }
}

/// Whether a token has capitals, small letters and digits, or many digits, or is long and in both cases: words and slugs are not.
pub(super) fn is_mixed(text: &[u8]) -> bool {
    /// Longer than a name in camel case, or a heading in capitals.
    const LONG: usize = 28;
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let has_lower = text.iter().any(u8::is_ascii_lowercase);
    let has_upper = text.iter().any(u8::is_ascii_uppercase);
    if has_lower && has_upper {
        return digits > 0 || text.len() >= LONG;
    }
    (has_lower || has_upper) && (digits * 8 >= text.len() || (has_upper && digits > 0 && text.len() >= LONG))
}

/// Returns the token that begins at `start`, of the first row that it matches and `is_wanted`.
pub(super) fn token(bytes: &[u8], start: usize, is_wanted: impl Fn(Detector) -> bool) -> Option<(Detector, usize)> {
    let first = at(bytes, start);
    let rows = INDEX.rows.get(INDEX.ranges.get(usize::from(first)).cloned()?)?;
    rows.iter().filter_map(|row| FORMATS.get(usize::from(*row))).find_map(|format| {
        let end = is_wanted(format.detector).then(|| format.end(bytes, start))??;
        Some((format.detector, end))
    })
}

/// Returns the second bytes of all prefixes that begin with `first`, as bits. If `with_digit`, only of those that a digit may follow:
/// `ya29.`, `SK12…`.
pub(super) const fn seconds(first: u8, with_digit: bool) -> u128 {
    let (mut mask, mut row) = (0, 0);
    #[expect(clippy::indexing_slicing, reason = "bounded by the loops, and evaluated when compiled")]
    while row < FORMATS.len() {
        let mut prefix = 0;
        while prefix < FORMATS[row].prefixes.len() {
            let bytes = FORMATS[row].prefixes[prefix].as_bytes();
            if bytes[0] == first && (!with_digit || bytes.len() == 2 || bytes[2].is_ascii_digit()) {
                mask |= 1 << (bytes[1] & 127);
            }
            prefix += 1;
        }
        row += 1;
    }
    mask
}

/// The rows by the first byte of their prefixes.
struct Index {
    rows: [u16; ROWS],
    ranges: [Range<usize>; 256],
}

const ROWS: usize = 512;

static INDEX: Index = {
    let mut rows = [0; ROWS];
    let mut ranges = [const { 0..0 }; 256];
    let (mut used, mut first) = (0, 0);
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "bounded by the loops, and evaluated when compiled"
    )]
    while first < 256 {
        let begin = used;
        let mut row = 0;
        while row < FORMATS.len() {
            let mut prefix = 0;
            while prefix < FORMATS[row].prefixes.len() {
                if FORMATS[row].prefixes[prefix].as_bytes()[0] as usize == first {
                    rows[used] = row as u16;
                    used += 1;
                    break;
                }
                prefix += 1;
            }
            row += 1;
        }
        ranges[first] = begin..used;
        first += 1;
    }
    Index { rows, ranges }
};

/// Returns the trigger of each prefix: its first bytes, and the alphabet of the token after a short one.
pub(crate) fn triggers(boundary: Place) -> impl Iterator<Item = Vec<Place>> {
    /// The least length of a trigger.
    const LEAST: usize = 4;
    /// No trigger is longer.
    const MOST: usize = 7;
    let once = |bytes| Place { bytes, times: Times::Once };
    let prefixes =
        FORMATS.iter().flat_map(|format| format.prefixes.iter().map(move |prefix| (prefix.as_bytes(), format)));
    prefixes.map(move |(prefix, format)| {
        // Up to the first byte that is no small letter: `rubygems_`, `npm_`, `AKCp`.
        let word = prefix.iter().position(|byte| !byte.is_ascii_lowercase()).map_or(prefix.len(), |place| place + 1);
        let shown = prefix.iter().take(word.clamp(LEAST, MOST)).map(|byte| once(Bytes::of(&[*byte])));
        let is_marked = prefix.len() == 3 && !prefix.last().is_some_and(u8::is_ascii_alphanumeric);
        let body = if is_marked { 0 } else { LEAST.saturating_sub(prefix.len()) };
        std::iter::once(boundary).chain(shown).chain(std::iter::repeat_n(once(format.alphabet), body)).collect()
    })
}
