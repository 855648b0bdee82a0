//! Secrets in text that their name announces: `password=…`, `"api_key": "…"`, `password is …`.

use std::ops::Range;

use super::class::{self, SPRINKLED, at, before, count, from, is_alnum};
use super::key;
use super::random::{self, Parts, is_part, parts};

/// No secret is shorter.
pub(super) const SHORTEST: usize = 6;

/// The values of a text that were judged so far. A value that begins inside of another is not judged from its start again, so that
/// judging all of them takes linear time.
#[derive(Default)]
pub(super) struct Judged {
    /// From the start of the last value that looked plain to the end of its last whole part.
    plain: Range<usize>,
    /// The parts in that range.
    parts: Parts,
}

impl Judged {
    /// Returns the secret of `name=secret`, `name: secret` or `<name>secret` whose sign is at `index`.
    pub(super) fn pair(&mut self, bytes: &[u8], index: usize) -> Option<(usize, usize)> {
        let head = bytes.get(..index)?;
        // `=>`, `:=`
        let head = head.strip_suffix(b"=").or_else(|| head.strip_suffix(b":")).unwrap_or(head);
        let head = unquoted(head);
        let name = Name::before(head)?;
        if at(bytes, index) == b'>' && !matches!(name.previous, b'<' | b'"' | b'\'' | b'=' | b' ' | b'[') {
            return None;
        }
        let is_quote = |byte| matches!(byte, b' ' | b'"' | b'\'' | b'=' | b'>' | b'\\' | b'`');
        let start = index + 1 + count(bytes, index + 1, 6, is_quote);
        self.secret(bytes, start, name).map(|end| (start, end))
    }

    /// Returns the secret of `password is secret` or `--password secret`, where `index` is the last space.
    pub(super) fn phrase(&mut self, bytes: &[u8], index: usize) -> Option<(usize, usize)> {
        let head = bytes.get(..index)?;
        let (head, is_said) = match head.strip_suffix(b" is") {
            Some(head) => (head, true),
            None => (head, false),
        };
        let name = Name::before(unquoted(head))?;
        let is_option = name.previous == b'-' || name.bytes.starts_with(b"-");
        if !name.is_password && !is_said && !is_option {
            return None;
        }
        let start = index + 1 + count(bytes, index + 1, 2, |byte| matches!(byte, b'"' | b'\'' | b'`'));
        // Another name follows, and not the secret.
        let length = count(bytes, start, 40, |byte| !matches!(byte, b' ' | b'=' | b':'));
        if !is_said && matches!(at(bytes, start + length), b'=' | b':') {
            return None;
        }
        let is_password = name.is_password && (is_said || is_option);
        self.secret(bytes, start, Name { is_password, is_scheme: false, ..name }).map(|end| (start, end))
    }

    /// Returns the end of the secret that begins at `start`, after punctuation.
    fn secret(&mut self, bytes: &[u8], start: usize, name: Name<'_>) -> Option<usize> {
        const LONGEST: usize = 256;
        let fresh = self.fresh(bytes, start, LONGEST, |byte| !ends_secret(byte));
        let end = fresh.end;
        let value = bytes.get(start..end)?;
        // `Authorization: ApiKey 8dGh…`
        if name.is_scheme && is_own_scheme(value) {
            return None;
        }
        if name.is_scheme
            && at(bytes, end) == b' '
            && !value.is_empty()
            && value.iter().all(|byte| is_alnum(*byte) || *byte == b'-')
        {
            let next = end + 1 + count(bytes, end + 1, LONGEST, |byte| !ends_secret(byte));
            if bytes.get(end + 1..next).is_some_and(|token| token.len() >= 8 && random::looks_random(token)) {
                return Some(next);
            }
        }
        if value.len() < name.least || at(bytes, start) == 0 {
            return None;
        }
        if name.is_password && random::looks_like_password(value) {
            return Some(end);
        }
        let is_sprinkled = bytes.get(fresh.clone())?.iter().any(|byte| class::of(*byte) & SPRINKLED != 0);
        let is_random = is_sprinkled && value.iter().any(u8::is_ascii_alphanumeric);
        (is_random || self.is_random(bytes, fresh)).then_some(end)
    }

    /// Whether the token that begins at `start`, after punctuation, has at least `least` bytes and looks random in its first `most`.
    pub(super) fn token(
        &mut self,
        bytes: &[u8],
        start: usize,
        most: usize,
        least: usize,
        goes_on: impl Fn(u8) -> bool,
    ) -> bool {
        let fresh = self.fresh(bytes, start, most, goes_on);
        fresh.end - start >= least && self.is_random(bytes, fresh)
    }

    /// Returns the part that is still to be judged of the value that begins at `start` and has at most `most` bytes.
    fn fresh(&mut self, bytes: &[u8], start: usize, most: usize, goes_on: impl Fn(u8) -> bool) -> Range<usize> {
        if !(self.plain.start..=self.plain.end).contains(&start) {
            *self = Self { plain: start..start, parts: Parts::default() };
        }
        for part in parts(bytes.get(self.plain.start..start).unwrap_or(&[])) {
            self.parts.forget(part);
        }
        self.plain.start = start;
        let begin = self.plain.end;
        begin..begin + count(bytes, begin, most.saturating_sub(begin - start), goes_on)
    }

    /// Whether the value up to the end of `fresh` looks random.
    fn is_random(&mut self, bytes: &[u8], fresh: Range<usize>) -> bool {
        let text = bytes.get(fresh.clone()).unwrap_or(&[]);
        // The limit on length may cut the last part.
        let is_cut = is_part(at(bytes, fresh.end));
        let cut = if is_cut { text.iter().rev().take_while(|byte| is_part(**byte)).count() } else { 0 };
        let (whole, cut) = text.split_at_checked(text.len() - cut).unwrap_or((text, &[]));
        if parts(whole).any(|part| !self.parts.take(part)) {
            return true;
        }
        self.plain.end = fresh.end - cut.len();
        let mut all = self.parts;
        parts(cut).any(|part| !all.take(part)) || all.is_code()
    }
}

/// A name whose value is a secret.
#[derive(Clone, Copy)]
struct Name<'b> {
    bytes: &'b [u8],
    /// The byte before it.
    previous: u8,
    /// Whether it names a password, so that a number is one, too.
    is_password: bool,
    /// Whether a scheme comes before the secret.
    is_scheme: bool,
    /// The least length of the value.
    least: usize,
}

impl<'b> Name<'b> {
    /// Returns the name that `head` ends with.
    fn before(head: &'b [u8]) -> Option<Self> {
        const LONGEST: usize = 40;
        if let Some(length) = key::foreign_password(head) {
            let (previous, bytes) = (before(head, head.len() - length), from(head, head.len() - length));
            return Some(Self { bytes, previous, is_password: true, is_scheme: false, least: SHORTEST });
        }
        // `12:30`, `http://`: the last letter rules most of them out.
        if !matches!(head.last()? | 0x20, b'd' | b't' | b'n' | b'y' | b'e' | b's' | b'h' | b'l' | b'r' | b'w' | b'g') {
            return None;
        }
        let is_name = |byte: &&u8| class::is_alnum(**byte) || matches!(byte, b'_' | b'-' | b'.');
        let length = head.iter().rev().take(LONGEST).take_while(is_name).count();
        let mut bytes = from(head, head.len() - length);
        let previous = before(head, head.len() - length);
        // `api key`
        if previous == b' ' && bytes.eq_ignore_ascii_case(b"key") {
            let first = head.get(..head.len() - length - 1).unwrap_or(&[]);
            bytes = from(head, first.len() - first.iter().rev().take(LONGEST).take_while(is_name).count());
        }
        let is_signature = key::is_signature(bytes);
        (is_signature || key::is_telling(bytes)).then(|| Self {
            bytes,
            previous,
            is_password: key::is_password(bytes),
            is_scheme: key::is_authorization(bytes),
            least: if is_signature { 16 } else { SHORTEST },
        })
    }
}

/// Whether a scheme has a detector of its own.
fn is_own_scheme(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"bearer") || value.eq_ignore_ascii_case(b"basic")
}

/// Returns `head` without a space, a quote and an escape at its end.
fn unquoted(head: &[u8]) -> &[u8] {
    let head = head.strip_suffix(b" ").unwrap_or(head);
    let head = head.strip_suffix(b"\"").or_else(|| head.strip_suffix(b"'")).unwrap_or(head);
    let head = head.strip_suffix(b"]").unwrap_or(head);
    head.strip_suffix(b"\\").unwrap_or(head)
}

fn ends_secret(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b',' | b';' | b'&' | b'<' | b'>' | b')' | b'}' | b']' | b'`'
    )
}
