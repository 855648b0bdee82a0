//! Places in a policy file: line, column, and the source with a mark below it.

use std::ops::Range;

/// A text with the starts of its lines, so that each place costs a search and not a pass over the text.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// Returns line and column of a byte, from 1; columns count characters.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let (line, start) = self.line(at);
        (line, self.text.get(start..at).unwrap_or_default().chars().count() + 1)
    }

    /// Returns the line of a span, with its number and carets below the span. Long lines are cut around it.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> String {
        const BEFORE: usize = 60;
        const WIDTH: usize = 100;
        let (number, start) = self.line(span.start);
        let line = self.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = self.text.get(start..span.start).unwrap_or_default().chars().count();
        let length =
            self.text.get(span.clone()).unwrap_or_default().lines().next().map_or(0, |span| span.chars().count());
        let (skipped, cut) = if column > BEFORE { (column - BEFORE, "…") } else { (0, "") };
        // One column a character, so that the carets stay below the span.
        let shown = |letter: char| if is_hidden(letter) { ' ' } else { letter };
        let mut shown: String = line.chars().skip(skipped).take(WIDTH).map(shown).collect();
        shown.truncate(shown.trim_end().len());
        let before = column - skipped + cut.chars().count();
        let carets = length.min(WIDTH.saturating_sub(before)).max(1);
        let margin = " ".repeat(number.to_string().len());
        let mark = format!("{}{}", " ".repeat(before), "^".repeat(carets));
        format!("{margin} |\n{number} | {cut}{shown}\n{margin} | {mark}")
    }

    /// Returns the number of the line that has a byte, and its first byte.
    fn line(&self, at: usize) -> (usize, usize) {
        let number = self.starts.partition_point(|start| *start <= at).max(1);
        (number, self.starts.get(number - 1).copied().unwrap_or_default())
    }
}

/// Whether a character would change how a terminal shows the line: control and bidirectional characters.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpt_marks_the_span_below_its_line() {
        let text = "profile = \"edge\"\n\tx = [\"grün\", 1]\n";
        let at = text.find("grün").unwrap();
        let lines = Lines::of(text);
        assert_eq!(lines.place(at), (2, 8));
        assert_eq!(lines.excerpt(&(at..at + 5)), "  |\n2 |  x = [\"grün\", 1]\n  |        ^^^^");
        // A span over several lines is marked on its first one, and an empty one with a single caret.
        assert_eq!(lines.excerpt(&(0..text.len())), "  |\n1 | profile = \"edge\"\n  | ^^^^^^^^^^^^^^^^");
        assert_eq!(lines.excerpt(&(3..3)), "  |\n1 | profile = \"edge\"\n  |    ^");
        assert_eq!(lines.place(text.len()), (3, 1));
        assert_eq!(lines.excerpt(&(text.len()..text.len())), "  |\n3 | \n  | ^");
    }

    #[test]
    fn excerpt_of_a_long_line_is_cut_around_the_span() {
        let text = format!("{}here{}", "x".repeat(10_000), "y".repeat(10_000));
        let excerpt = Lines::of(&text).excerpt(&(10_000..10_004));
        assert!(excerpt.len() < 400, "{excerpt}");
        let lines: Vec<&str> = excerpt.lines().collect();
        let mark = lines[2].find('^').unwrap();
        assert!(lines[1].chars().skip(mark).collect::<String>().starts_with("here"), "{excerpt}");
    }

    #[test]
    fn excerpt_shows_no_control_characters() {
        let excerpt = Lines::of("a = \"\u{1b}[31m\u{7f}\"\r\n").excerpt(&(4..10));
        assert!(!excerpt.contains(['\u{1b}', '\u{7f}', '\r']), "{excerpt:?}");
    }
}
