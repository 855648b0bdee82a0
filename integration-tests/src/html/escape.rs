//! Text from anywhere, made harmless.

use std::fmt::{self, Write};

/// Text that shows as it is in an element and in a quoted attribute.
///
/// Control characters, and those that reorder the text around them or don't show at all, show as `\u{202e}`: a name must not look like
/// another.
pub(super) struct Text<T>(pub(super) T);

impl<T: AsRef<str>> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.as_ref().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                c if c.is_control() || is_invisible(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Format characters of Unicode: bidirectional marks, joiners, fillers, tags.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_show_as_escapes() {
        for (text, shown) in [
            ("a\u{202e}b", "a\\u{202e}b"),
            ("\u{1b}[31m\r", "\\u{1b}[31m\\u{d}"),
            ("\u{61c}\u{2060}\u{ad}\u{e0041}\u{2069}", "\\u{61c}\\u{2060}\\u{ad}\\u{e0041}\\u{2069}"),
            ("\u{85}\0", "\\u{85}\\u{0}"),
            ("<b>\u{e4}\n", "&lt;b&gt;\u{e4}\n"),
        ] {
            assert_eq!(Text(text).to_string(), shown);
        }
    }
}
