//! Tables of test vectors: findings, clean values, and encodings of both.

mod formats;
mod ids;
mod realistic;
mod samples;
mod wrapped;

use samples::{CLEAN, PERSONAL, SECRETS};
use wrapped::{STANDARD, WRAPPINGS, base64, percent};

use super::{Detector, Detectors, find_all, scan, trigger};

fn found(key: &str, value: &str) -> Option<Detector> {
    scan(Detectors::all(), key.as_bytes(), value.as_bytes()).map(|finding| finding.detector)
}

#[test]
fn prefilter_skips_no_match() {
    let long = format!("{}4111111111111111", "x1".repeat(100) + " ");
    let words = format!("{} anna@example.com", "blue%20car%2C".repeat(40));
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(120) + "anna@example.com";
    let coded = base64(&text, STANDARD, true);
    for (expected, value) in [
        (Detector::Phone, "100%+1 415 555 2671"),
        (Detector::Ipv6, "[fe80::1ff:fe23:4567:890a]"),
        (Detector::Ipv6, "ab12:cd34:ab12:cd34:ab12:cd34:ab12:cd34"),
        (Detector::Mac, "at.ab12.cd34.ef56 ab12.cd34.ef56"),
        (Detector::Iban, "zz12 DE89370400440532013000"),
        (Detector::PaymentCard, "1700000000123 4111111111111111"),
        (Detector::PaymentCard, "1234 5678 9536 4111 1111 1111 1111"),
        (Detector::UsSsn, "1234 5678 9123, 536-90-4399"),
        (Detector::Ipv4, "123456789012 10.0.0.1"),
        (Detector::StripeKey, "C:\\rk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        (Detector::GithubToken, "“ghp_16C7e42F292c6912E7710c838347Ae178B4a”"),
        (Detector::Email, "caf\u{e9}\u{2009}anna\\u0040example.com"),
        (Detector::Email, "%41%6E%6E%61%40%65%78%61%6D%70%6C%65%2E%63%6F%6D"),
        (Detector::Basic, "https://user:p%2Fss@localhost/"),
        (Detector::PaymentCard, &long),
        (Detector::Email, &words),
        (Detector::Email, &coded),
    ] {
        assert_eq!(found("note", value), Some(expected), "{value}");
    }
}

#[test]
fn plain_personal_data_is_found() {
    for (detector, key, value) in PERSONAL {
        assert_eq!(found(key, value), Some(*detector), "{key}={value}");
    }
}

#[test]
fn random_value_under_secret_key_is_found() {
    for (key, value) in SECRETS {
        assert_eq!(found(key, value), Some(Detector::Secret), "{key}={value}");
    }
}

#[test]
fn clean_value_is_left_alone() {
    for (key, value) in CLEAN {
        assert_eq!(found(key, value), None, "{key}={value}");
        for wrap in WRAPPINGS {
            let wrapped = wrap(value);
            assert_eq!(found("note", &wrapped).filter(|_| found("note", value).is_none()), None, "{wrapped}");
        }
    }
}

#[test]
fn secret_among_plain_values_is_found() {
    let many = "secret:".repeat(100);
    for value in [
        "ab12cdtoken: hunter2x!".to_owned(),
        format!("{many}hunter2x!"),
        format!("{many}one-two-a1-b2-c3-d4-e5"),
        "pwd=one-two-three-four-token:a1-b2-c3-d4".to_owned(),
        format!("token:{}-token:x9f2k7q1", "word-".repeat(60)),
    ] {
        assert_eq!(found("", &value), Some(Detector::Secret), "{value}");
    }
    assert_eq!(found("", &many), None);
    let many = "bearer+".repeat(100);
    assert_eq!(found("", &many), None);
    assert_eq!(found("", &format!("{many}abcDEF123456")), Some(Detector::Bearer));
}

#[test]
fn a_card_is_found_among_many_numbers() {
    for separator in [" ", "-", "+", "_", "/"] {
        for (number, card) in
            [("12", "4111 1111 1111 1111"), ("7", "41 11 11 11 11 11 11 11"), ("12345", "3782 822463 10005")]
        {
            let many = format!("{number}{separator}").repeat(200);
            let card = card.replace(' ', separator);
            assert_eq!(found("", &format!("{many}, {card}")), Some(Detector::PaymentCard), "{many}, {card}");
            assert_eq!(found("", &format!("{card}, {many}")), Some(Detector::PaymentCard), "{card}, {many}");
            assert_eq!(found("", &many), None);
        }
        let many = "12 ".repeat(200);
        assert_eq!(found("", &format!("{many}41 11 11 11 11 11 11 11")), Some(Detector::PaymentCard));
        assert_eq!(found("", &format!("{many}4111 1111 1111 1111 {many}")), Some(Detector::PaymentCard));
        assert_eq!(found("", &format!("{many}, 536-90-4399 {many}")), Some(Detector::UsSsn));
    }
}

#[test]
fn disabled_detector_finds_and_hides_nothing() {
    for (detector, key, value) in PERSONAL {
        let finding = scan(Detectors::all().without(*detector), key.as_bytes(), value.as_bytes());
        assert_ne!(finding.map(|it| it.detector), Some(*detector), "{value}");
        assert_eq!(scan(Detectors::none(), key.as_bytes(), value.as_bytes()), None);
        let both = format!("{value} alice@example.com");
        assert!(scan(Detectors::none().with(Detector::Email), b"", both.as_bytes()).is_some(), "{both}");
    }
}

#[test]
fn span_covers_exactly_the_match() {
    let cases: &[(&str, &[&str])] = &[
        ("mail alice@example.com, or bob@example.org.", &["alice@example.com", "bob@example.org"]),
        ("card 4111 1111 1111 1111 12 27", &["4111 1111 1111 1111"]),
        ("a=1&mail=alice%40example.com&b=2", &["alice%40example.com"]),
        ("a%20b alice%2540example.com c", &["alice%2540example.com"]),
        ("x YWxpY2VAZXhhbXBsZS5jb20= y", &["YWxpY2VAZXhhbXBsZS5jb20="]),
        ("ip 10.0.0.1:80 and ４１１１１１１１１１１１１１１１!", &["10.0.0.1", "４１１１１１１１１１１１１１１１"]),
        ("pw password=hunter2!x end", &["hunter2!x"]),
        ("t Bearer mF_9.B5f-4.1JqM== e", &["Bearer mF_9.B5f-4.1JqM=="]),
        ("-----BEGIN A-----\nx\n-----END A-----\n rest", &["-----BEGIN A-----\nx\n-----END A-----"]),
        ("nothing here", &[]),
    ];
    for (value, expected) in cases {
        let found: Vec<_> = find_all(Detectors::all(), b"note", value.as_bytes())
            .into_iter()
            .map(|finding| value.get(finding.span).unwrap_or("<not a character boundary>"))
            .collect();
        assert_eq!(found, *expected, "{value}");
    }
}

#[test]
fn no_span_cuts_a_character() {
    for wide in ["é", "漢", "🎉"] {
        for shift in ["", "a", "ab", "abc"] {
            let value = format!("{}{shift}@{}{shift}.{}", wide.repeat(60), wide.repeat(40), wide.repeat(60));
            for value in [percent(&value), value] {
                for finding in find_all(Detectors::all(), b"", value.as_bytes()) {
                    assert!(value.get(finding.span.clone()).is_some(), "{finding:?} {value}");
                }
                assert!(scan(Detectors::all(), b"", value.as_bytes()).is_some(), "{value}");
            }
        }
    }
}

#[test]
fn findings_are_in_order_inside_the_value_and_apart() {
    let value = PERSONAL.iter().map(|(_, _, value)| *value).chain(["%20", "ＡＢ"]).collect::<Vec<_>>().join(" ; ");
    let found = find_all(Detectors::all(), b"note", value.as_bytes());
    assert!(found.len() > 40, "{found:?}");
    for pair in found.windows(2) {
        let [one, next] = pair else { continue };
        assert!(one.span.end <= next.span.start, "{one:?} {next:?}");
    }
    assert!(found.iter().all(|finding| !finding.span.is_empty() && finding.span.end <= value.len()));
}

#[test]
fn many_encoded_findings_become_one_of_whole_value() {
    let value = "a%40example.com,".repeat(100);
    let found = find_all(Detectors::all(), b"", value.as_bytes());
    assert_eq!(found.len(), 1);
    assert_eq!(found.first().map(|finding| finding.span.clone()), Some(0..value.len()));
}

#[test]
fn long_values_are_searched_to_the_end() {
    for wrap in WRAPPINGS {
        for length in [300, 3_000, 4_090, 9_000, 40_000] {
            let text = format!("{} alice@example.com", "lorem ipsum ".repeat(length / 12));
            assert_eq!(found("note", &wrap(&text)), Some(Detector::Email), "{length}");
        }
    }
}

#[test]
fn no_bytes_make_it_panic() {
    // A fixed generator: no randomness that a failure could not be repeated with.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let alphabet: &[u8] = b"0123456789abcdefABCDEF:.-+ %@=_/eyJxoxb4111\xEF\xBC\x91\xE2\x80\x8B\xC2\xA0\xFF";
    for _ in 0..20_000 {
        let mut value = Vec::new();
        for _ in 0..state % 60 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let index = usize::try_from(state % 64).unwrap_or(0);
            value.push(alphabet.get(index).copied().unwrap_or(b'%'));
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let first = scan(Detectors::all(), b"token", &value);
        let all = find_all(Detectors::all(), b"token", &value);
        assert_eq!(first.is_some(), !all.is_empty(), "{value:?}");
        assert!(all.iter().all(|finding| finding.span.end <= value.len() && !finding.span.is_empty()), "{value:?}");
    }
}

#[test]
fn every_detector_has_a_name_that_finds_it_again() {
    for &detector in Detector::ALL {
        assert_eq!(Detector::from_name(detector.name()), Some(detector));
        assert_eq!(detector.name().parse(), Ok(detector));
        assert_eq!(detector.to_string(), detector.name());
        assert!(Detectors::all().contains(detector));
        assert!(!Detectors::all().without(detector).contains(detector));
    }
    assert_eq!(Detector::from_name("e-mail"), None);
    assert_eq!(Detectors::all().iter().count(), Detector::ALL.len());
    assert_eq!(Detector::ALL.iter().copied().collect::<Detectors>(), Detectors::all());
}

#[test]
fn the_triggers_fit_their_table() {
    // Were it full, every value would take the slow way.
    assert!(trigger::TRIGGERS.spare() > 100_000, "{}", trigger::TRIGGERS.spare());
}
