//! Encodings of a value: escapes, base64, other forms of its characters.

use super::{found, samples::PERSONAL};
use crate::{Detector, Detectors, scan};

pub(super) const WRAPPINGS: [fn(&str) -> String; 12] = [
    percent,
    |value| percent(&percent(value)),
    |value| percent(&percent(&percent(value))),
    |value| base64(value, STANDARD, true),
    |value| base64(value, STANDARD, false),
    |value| base64(value, URL_SAFE, true),
    |value| base64(value, URL_SAFE, false),
    |value| percent(&base64(value, STANDARD, true)),
    |value| base64(&percent(value), STANDARD, true),
    |value| format!("see {} for it", base64(value, STANDARD, true)),
    full_width,
    |value| percent(&full_width(value)),
];

#[test]
fn wrappings_hide_nothing() {
    for (detector, key, value) in PERSONAL {
        // These keys give no hint, as keys inside a wrapping do not. Base64 is recognised by ASCII text at its start.
        if *key != "note" || !value.is_ascii() {
            continue;
        }
        for wrap in WRAPPINGS {
            let wrapped = wrap(value);
            let finding = scan(Detectors::none().with(*detector), key.as_bytes(), wrapped.as_bytes());
            let span = finding.map(|finding| finding.span).unwrap_or_default();
            assert!(!span.is_empty() && span.end <= wrapped.len(), "{detector} in {value} as {wrapped}");
        }
    }
}

#[test]
fn base64_of_text_in_any_script_is_read() {
    for text in ["mail to Zoë <zoe@example.com>", "note: 注文 alice@example.com", "order 🎉 alice@example.com"] {
        assert_eq!(found("note", &base64(text, STANDARD, true)), Some(Detector::Email), "{text}");
    }
    // The decoded bytes are not text, so the address in them is no finding.
    assert_eq!(found("note", "bm90IHRleHQ6//////9hbGljZUBleGFtcGxlLmNvbQ=="), None);
}

#[test]
fn json_escapes_are_decoded() {
    for (value, span) in [
        (r"alice\u0040example.com", 0..22),
        (r"card:\n4111111111111111\n", 7..23),
        (r"\uFF14\uff11\uff11\uff11111111111111", 0..36),
        (r"C:\new\temp", 0..0),
    ] {
        let span_found = scan(Detectors::all(), b"", value.as_bytes()).map(|it| it.span).unwrap_or_default();
        assert_eq!(span_found, span, "{value}");
    }
}

#[test]
fn escape_does_not_hide_later_match() {
    for before in [
        "%41",
        "%2541",
        "%C3%A9",
        "é%20",
        "%EF%BC%91",
        "100%",
        "%25%4",
        "%5Cn",
        r"\n",
        r"\u",
        r"\u%300311",
        r"\u00e9",
        r"\u005cn",
        "“it’s”%20",
        "%20“it’s”",
        "AB12%20",
        "%20AB12",
        "%40",
        "%20%40",
    ] {
        for (detector, key, value) in PERSONAL.iter().filter(|(_, key, _)| *key == "note") {
            for value in [(*value).to_owned(), percent(value), percent(&percent(value))] {
                let text = format!("{before}, {value}");
                assert!(
                    scan(Detectors::none().with(*detector), key.as_bytes(), text.as_bytes()).is_some(),
                    "{detector}: {text}"
                );
            }
        }
    }
}

#[test]
fn digits_of_other_scripts_and_typographic_separators_count() {
    for value in [
        "٤١١١١١١١١١١١١١١١",
        "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        "4111\u{2011}1111\u{2011}1111\u{2011}1111",
        "4111\u{200b}1111\u{200b}1111\u{200b}1111",
        "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
    ] {
        assert_eq!(found("note", value), Some(Detector::PaymentCard), "{value}");
    }
}

pub(super) const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn base64(value: &str, alphabet: &[u8; 64], padded: bool) -> String {
    let mut encoded = String::new();
    for chunk in value.as_bytes().chunks(3) {
        let byte = |index| chunk.get(index).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4_usize {
            if place <= chunk.len() {
                let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
                encoded.push(alphabet.get(digit).copied().map_or('?', char::from));
            } else if padded {
                encoded.push('=');
            }
        }
    }
    encoded
}

pub(super) fn percent(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The digits in full width, and everything else as it is.
fn full_width(value: &str) -> String {
    value
        .chars()
        .map(|character| match character {
            '0'..='9' => char::from_u32(u32::from(character) + 0xFEE0).unwrap_or(character),
            _ => character,
        })
        .collect()
}
