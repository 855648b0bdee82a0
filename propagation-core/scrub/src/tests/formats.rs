//! The table of token formats: each row by its examples.

use super::found;
use super::wrapped::{STANDARD, base64, percent};
use crate::credential::EXAMPLES;
use crate::{Detectors, find_all};

#[test]
fn table_has_150_formats_or_more() {
    assert!(EXAMPLES.len() >= 150, "{}", EXAMPLES.len());
}

#[test]
fn example_alone_is_found() {
    for (detector, name, examples) in EXAMPLES {
        for example in examples {
            assert_eq!(found("note", example), Some(*detector), "{name}: {example}");
        }
    }
}

#[test]
fn example_in_text_is_found_and_no_more() {
    for (detector, name, examples) in EXAMPLES {
        for example in examples {
            let text = format!("deployed by ci, see <{example}> in the log");
            let first = find_all(Detectors::none().with(*detector), b"note", text.as_bytes());
            let spans: Vec<_> = first.into_iter().filter_map(|finding| text.get(finding.span)).collect();
            assert_eq!(spans, [*example], "{name}");
        }
    }
}

#[test]
fn example_encoded_is_found() {
    for (_, name, examples) in EXAMPLES {
        for example in examples {
            for text in [
                percent(example),
                base64(&format!("token {example}"), STANDARD, true),
                format!("{{\"v\":\"{example}\"}}"),
            ] {
                assert!(found("note", &text).is_some(), "{name}: {text}");
            }
        }
    }
}

#[test]
fn example_cut_short_is_not_found() {
    for (detector, name, examples) in EXAMPLES {
        for example in examples {
            let cut = example.get(..example.len().min(12)).unwrap_or(example);
            assert_ne!(found("note", cut), Some(*detector), "{name}: {cut}");
        }
    }
}

#[test]
fn example_inside_a_word_is_not_found() {
    for (detector, name, examples) in EXAMPLES {
        let text = format!("x{}", examples[0]);
        let first = find_all(Detectors::none().with(*detector), b"note", text.as_bytes());
        assert!(first.iter().all(|finding| finding.span.start > 1), "{name}: {text}");
    }
}
