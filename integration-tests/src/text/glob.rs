//! Patterns with `*`.

/// Whether a text matches a pattern, in which `*` matches any number of characters. Takes time in the product of both lengths at most.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut to) = (0, 0);
    // Where to go on after a mismatch: behind the last `*`, one byte of the text later.
    let mut retry = None;
    while to < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            retry = Some((at, to));
        } else if pattern.get(at) == text.get(to) {
            at += 1;
            to += 1;
        } else if let Some((star, start)) = retry {
            at = star;
            to = start + 1;
            retry = Some((star, to));
        } else {
            return false;
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn star_matches_any_number_of_characters() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("orders", "orders", true),
            ("orders", "orders-2", false),
            ("orders*", "orders", true),
            ("*-worker", "billing-worker", true),
            ("*-worker", "worker", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("", "", true),
            ("", "a", false),
            ("é*", "é1", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
