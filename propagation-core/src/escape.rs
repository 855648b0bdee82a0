//! Text that is safe to print: bounded, and without characters that move a cursor, begin a line or reorder the text.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// Displays text from outside in an event, an error or on a terminal: control characters, bidirectional and invisible ones are
/// escaped as in Rust literals, and a long text is cut and ends with `…`.
///
/// ```
/// use propagation_core::EscapedText;
///
/// assert_eq!(EscapedText::new("reply\n\u{1b}[2J\u{202e}").to_string(), r"reply\n\u{1b}[2J\u{202e}");
/// assert_eq!(EscapedText::new("orders-eu").with_max_bytes(6).to_string(), "orders…");
/// ```
#[derive(Clone, Copy)]
pub struct EscapedText<'a> {
    text: &'a str,
    max_bytes: usize,
}

impl<'a> EscapedText<'a> {
    /// Creates a display of at most 256 bytes of the text.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, max_bytes: 256 }
    }

    /// Sets the maximum number of bytes.
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

impl fmt::Display for EscapedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = cut(self.text, self.max_bytes);
        write_escaped(f, kept, |_| false)?;
        if kept.len() < self.text.len() { f.write_char('…') } else { Ok(()) }
    }
}

/// Like `Display`, in quotes.
impl fmt::Debug for EscapedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Truncates a text to at most `max` bytes, at a character boundary.
///
/// ```
/// assert_eq!(propagation_core::truncate_text("aäb", 2), "a");
/// ```
#[must_use]
pub fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// Escapes a text into at most so many bytes.
pub(crate) fn escaped(text: &str, max: usize) -> Cow<'_, str> {
    escaped_but(text, max, |_| false)
}

/// Like [`escaped`], but keeps line feeds and tabs.
pub(crate) fn escaped_lines(text: &str, max: usize) -> Cow<'_, str> {
    escaped_but(text, max, |letter| matches!(letter, '\n' | '\t'))
}

fn escaped_but(text: &str, max: usize, keeps: impl Fn(char) -> bool) -> Cow<'_, str> {
    if is_printable_ascii(text) || !text.chars().any(|letter| is_unsafe(letter) && !keeps(letter)) {
        return Cow::Borrowed(text);
    }
    let mut out = Limited { out: String::with_capacity(text.len().min(max)), max };
    // Ends with an error once the bound is reached.
    let _ = write_escaped(&mut out, text, keeps);
    Cow::Owned(out.out)
}

struct Limited {
    out: String,
    max: usize,
}

impl Write for Limited {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.out.len().saturating_add(piece.len()) > self.max {
            // An escape is written whole or not at all.
            return Err(fmt::Error);
        }
        self.out.push_str(piece);
        Ok(())
    }
}

fn write_escaped(out: &mut impl Write, text: &str, keeps: impl Fn(char) -> bool) -> fmt::Result {
    let mut buffer = [0; 4];
    for letter in text.chars() {
        if !is_unsafe(letter) || keeps(letter) {
            out.write_str(letter.encode_utf8(&mut buffer))?;
            continue;
        }
        match letter {
            '\n' => out.write_str(r"\n")?,
            '\r' => out.write_str(r"\r")?,
            '\t' => out.write_str(r"\t")?,
            _ => out.write_str(&letter.escape_unicode().collect::<String>())?,
        }
    }
    Ok(())
}

/// Whether a text needs no escape, at a glance: most are printable ASCII. Reads every byte, which compiles to vector instructions.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().fold(true, |printable, byte| printable & matches!(byte, b' '..=b'~'))
}

/// Whether a character could begin a line, drive a terminal, reorder text or stay invisible.
#[must_use]
pub(crate) fn is_unsafe(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Debug output of a value that is not shown.
pub(crate) struct MaskedLength(pub(crate) usize);

impl fmt::Debug for MaskedLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "_ ({} bytes)", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_long_text_ends_at_character() {
        assert_eq!(cut("aäb", 2), "a");
        assert_eq!(cut("aäb", 3), "aä");
        assert_eq!(cut("ä", 0), "");
    }

    #[test]
    fn escaped_text_stays_within_bound() {
        let text = "\u{202e}".repeat(100);
        let shown = escaped(&text, 50);
        assert!(shown.len() <= 50 && shown.starts_with(r"\u{202e}") && shown.ends_with('}'), "{shown}");
        assert_eq!(escaped("grün", 50), "grün");
        for (text, shown) in
            [("", ""), (" ~", " ~"), ("a\u{7f}", r"a\u{7f}"), ("a\u{1f}", r"a\u{1f}"), ("\u{202e}b", r"\u{202e}b")]
        {
            assert_eq!(escaped(text, 50), shown);
        }
    }
}
