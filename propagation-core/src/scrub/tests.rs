//! Tables of vectors: what is found, what is left alone, and through which wrappings.

use super::{Detector, Detectors, find_all, scan, trigger};

fn found(key: &str, value: &str) -> Option<Detector> {
    scan(Detectors::all(), key.as_bytes(), value.as_bytes()).map(|finding| finding.detector)
}

/// What a quick look must not pass over: beside escapes, after what begins like an account number, in long runs.
#[test]
fn nothing_hides_beside_what_a_quick_look_passes() {
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

/// One or more of each kind, as they are written.
const PERSONAL: &[(Detector, &str, &str)] = &[
    (Detector::Email, "note", "alice@example.com"),
    (Detector::Email, "note", "a.b+c_d%e@mail.example.co.uk"),
    (Detector::Email, "note", "<o'neil@example.org>, and more"),
    (Detector::Email, "note", "\"John Doe\"@example.com"),
    (Detector::Email, "note", "user@xn--bcher-kva.example"),
    (Detector::Email, "note", "grüße@bücher.example"),
    (Detector::PaymentCard, "note", "4111111111111111"),
    (Detector::PaymentCard, "note", "5555555555554444"),
    (Detector::PaymentCard, "note", "2223003122003222"),
    (Detector::PaymentCard, "note", "378282246310005"),
    (Detector::PaymentCard, "note", "30569309025904"),
    (Detector::PaymentCard, "note", "6011111111111117"),
    (Detector::PaymentCard, "note", "3530111333300000"),
    (Detector::PaymentCard, "note", "4222222222222"),
    (Detector::PaymentCard, "note", "6759649826438453"),
    (Detector::PaymentCard, "note", "4111 1111 1111 1111"),
    (Detector::PaymentCard, "note", "4111-1111-1111-1111"),
    (Detector::PaymentCard, "note", "4111.1111.1111.1111"),
    (Detector::PaymentCard, "note", "3782 822463 10005"),
    (Detector::PaymentCard, "note", "4222 222 222 222"),
    (Detector::PaymentCard, "note", "card 4111 1111 1111 1111 12 27 and 123"),
    (Detector::PaymentCard, "note", "order 17 4111 1111 1111 1111"),
    (Detector::PaymentCard, "card", "2301012345678905"),
    (Detector::PaymentCard, "note", "4111 1111-1111 1111"),
    (Detector::PaymentCard, "note", "4111-1111 1111.1111"),
    (Detector::PaymentCard, "note", "3714 496353-98431"),
    (Detector::Iban, "note", "GB82WEST12345698765432"),
    (Detector::Iban, "note", "DE89 3704 0044 0532 0130 00"),
    (Detector::Iban, "note", "de89370400440532013000"),
    (Detector::Iban, "note", "FR14-2004-1010-0505-0001-3M02-606"),
    (Detector::Iban, "note", "CR05015202001026284066"),
    (Detector::Iban, "note", "pay NO9386011117947 now"),
    (Detector::Iban, "note", "MT84MALT011000012345MTLCAST001S"),
    (Detector::UsSsn, "note", "536-90-4399"),
    (Detector::UsSsn, "note", "536 90 4399"),
    (Detector::UsSsn, "note", "ssn: 536-90-4399."),
    (Detector::UsSsn, "ssn", "536904399"),
    (Detector::UsSsn, "ssn", "53-690-4399"),
    (Detector::UsSsn, "user.ssn", "5369 04399"),
    (Detector::UsSsn, "ssn", "5 3 6 9 0 4 3 9 9"),
    (Detector::UsSsn, "ssn", "536_90_4399"),
    (Detector::UsSsn, "note", "SSN 536904399"),
    (Detector::UsSsn, "note", "{\"ssn\":\"536904399\"}"),
    (Detector::UsSsn, "note", "ssn: 536904399, and more"),
    (Detector::UsSsn, "socialSecurityNumber", "536.90.4399"),
    (Detector::Phone, "note", "+14155552671"),
    (Detector::Phone, "note", "+442071838750"),
    (Detector::Phone, "note", "+49 (0)30 901820"),
    (Detector::Phone, "note", "call +1 (415) 555-2671 x12"),
    (Detector::Phone, "note", "tel:+33.1.23.45.67.89"),
    (Detector::Phone, "phone", "(415) 555-2671"),
    (Detector::Phone, "customer.mobile", "07700900123"),
    (Detector::Ipv4, "note", "203.0.113.7"),
    (Detector::Ipv4, "note", "http://10.0.0.1/x"),
    (Detector::Ipv4, "note", "/10.0.0.1:5432"),
    (Detector::Ipv4, "note", "10.0.0.0/8"),
    (Detector::Ipv4, "note", "from 192.168.1.254."),
    (Detector::Ipv6, "note", "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
    (Detector::Ipv6, "note", "2001:db8::1"),
    (Detector::Ipv6, "note", "http://[fe80::1ff:fe23:4567:890a]:80/"),
    (Detector::Ipv6, "note", "::ffff:192.0.2.128"),
    (Detector::Ipv6, "note", "ip:fe80::1"),
    (Detector::Mac, "note", "00:1A:2b:3c:4d:5E"),
    (Detector::Mac, "note", "00-1a-2b-3c-4d-5e"),
    (Detector::Mac, "note", "001a.2b3c.4d5e"),
    (Detector::Jwt, "note", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
    (Detector::Jwt, "note", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."),
    (Detector::Jwt, "note", "eyJhbGciOiJkaXIifQ..aXY.dGV4dA.dGFn"),
    (Detector::Pem, "note", "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n"),
    (Detector::Pem, "note", "-----BEGIN PRIVATE KEY----- MIIB"),
    (Detector::AwsKey, "note", concat!("AKIA", "IOSFODNN7EXAMPLE")),
    (Detector::AwsKey, "note", concat!("id=ASIA", "IOSFODNN7EXAMPLE;")),
    (Detector::GithubToken, "note", concat!("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a")),
    (
        Detector::GithubToken,
        "note",
        concat!("github_", "pat_11ABCDEFG0abcdefghijkl_0123456789012345678901234567890123456789"),
    ),
    (Detector::StripeKey, "note", concat!("sk_", "live_4eC39HqLyjWDarjtT1zdp7dc")),
    (Detector::StripeKey, "note", concat!("whsec", "_4eC39HqLyjWDarjtT1zdp7dc")),
    (Detector::SlackToken, "note", concat!("xoxb", "-123456789012-123456789012-abcdefghijklmnopqrstuvwx")),
    (
        Detector::SlackToken,
        "note",
        concat!("https://hooks.slack", ".com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"),
    ),
    (Detector::GoogleKey, "note", concat!("AIza", "SyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe")),
    (Detector::GoogleKey, "note", concat!("ya29", ".a0AfH6SMBx1234567890abcdefghij")),
    (Detector::GoogleKey, "note", concat!("GOCSPX", "-abcdefghij0123456789ABCDEFGH")),
    (Detector::Bearer, "note", "Bearer mF_9.B5f-4.1JqM"),
    (Detector::Bearer, "note", "authorization: bearer 0123456789abcdef0123"),
    (Detector::Basic, "note", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    (Detector::Basic, "note", "basic YTpi"),
    (Detector::Basic, "note", "https://user:passw0rd@example.com/x"),
    (Detector::Basic, "note", "postgres://admin:s3cr3t@db:5432/app"),
    (Detector::Basic, "note", "redis://:p4ssw0rd@cache:6379"),
];

/// Values that look random, each under a key that tells.
const SECRETS: &[(&str, &str)] = &[
    ("password", "hunter2!"),
    ("password", "Summer2024"),
    ("db.password", "correct-4horse-b4ttery-5taple"),
    ("apiKey", "a8f3k29dk"),
    ("X-API-Key", "7f3b1c9e-93a4-4b55-a1c9-1f0e5f3d2b1a"),
    ("client_secret", "aGhTzQwErTyU"),
    ("clientsecret", "qwrtplkjzxcv"),
    ("access_token", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("vault.secret_id", "6a174c20-f6de-a53c-74d2-6018fcceff64"),
    ("note", "login with password=hunter2!x failed"),
    ("note", "{\"api_key\":\"a8f3k29dk3l\"}"),
];

/// What travels in baggage every day and identifies nobody.
const CLEAN: &[(&str, &str)] = &[
    ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ("span_id", "0012345678901234"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("request_id", "7f3b1c9e-93a4-4b55-a1c9-1f0e5f3d2b1a"),
    ("request_id", "41111111-1111-1111-4111-111111111111"),
    ("id", "01HZX3KQ7V8T9M2N4P5R6S7T8V"),
    ("id", "2NBaAEdXgP8zZQ5kH4n6yTqLw3c"),
    ("user.id", "u-4111111"),
    ("session_id", "x8Jk2LmQ9vTzPq0Rr_YwZaBcDeF"),
    ("digest", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("digest", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ("fingerprint", "5A:0B:1C:2D:3E:4F:5A:6B:7C:8D:9E:AF:B0:C1:D2:E3"),
    ("ts", "1700000000"),
    ("ts", "1700000000000"),
    ("ts", "1700000000000000"),
    ("ts", "1700000000000000000"),
    ("date", "2024-05-06T07:08:09.123456+11:00"),
    ("date", "20240506T070809Z"),
    ("date", "24-05-06-07-08-09"),
    ("time", "12:34:56"),
    ("version", "1.2.3.4"),
    ("note", "v1.2.3.4"),
    ("note", "(X11; U; Linux i686; rv:1.9.2.20) Gecko/20110803"),
    ("note", "jdk-11.0.2.1"),
    ("note", "1.2.3.4-beta"),
    ("note", "0.12.3.4"),
    ("note", "Chrome 120.0.0.0"),
    ("note", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"),
    ("note", "1.0.0+20130313144700"),
    ("note", "pkg@1.2.3-beta.rc"),
    ("note", "icon@2x.png"),
    ("order", "2024013112345674"),
    ("order", "2401311234567891"),
    ("amount", "4,111,111,111,111,111.00"),
    ("amount", "4.111.111.111.111"),
    ("amount", "+1234567.89"),
    ("delta", "+1234567"),
    ("cell", "4155552"),
    ("note", "4111 1111-1111 1112"),
    ("note", "lessn 536904399"),
    ("ssn", "5369-04-39"),
    ("ssn", "000_12_3456"),
    ("note", "git://host:9418/a@b"),
    ("note", "http://host:80/x?y=@z"),
    ("ratio", "0.4111111111111111"),
    ("locale", "de-CH,de;q=0.9"),
    ("feature", "new-checkout=on,dark-mode=off"),
    ("host", "ip-10-0-0-1.eu-west-1.compute.internal"),
    ("path", "std::collections::HashMap"),
    ("note", "The bearer certificates and the basic plan: no token needed."),
    ("note", "Bearer authentication"),
    ("note", "Basic authentication"),
    ("note", "9:30 – café №5 costs €12.50"),
    ("note", "100% of 5% and %zz"),
    ("ssn", "000-12-3456"),
    ("note", "666-12-3456"),
    ("note", "912-12-3456"),
    ("note", "4111111111111112"),
    ("note", "GB82WEST12345698765433"),
    ("note", "GB82"),
    ("password_policy", "strict-v2"),
    ("password", "required"),
    ("token_type", "Bearer"),
    ("token_count", "1234567890"),
    ("token", "expired"),
    ("tokens", "1500"),
    ("auth", "mfa-totp-v2"),
    ("auth_user_id", "83hf83hf83hf83"),
    ("secretary", "j83hfk29fj3k2"),
    ("passenger", "83jf93kf93kf"),
    ("partition_key", "a8f3k29dkd93kf"),
    ("", ""),
    ("note", ""),
];

#[test]
fn personal_data_and_credentials_are_found_as_they_are_written() {
    for (detector, key, value) in PERSONAL {
        assert_eq!(found(key, value), Some(*detector), "{key}={value}");
    }
}

#[test]
fn a_random_value_under_a_telling_key_is_a_secret() {
    for (key, value) in SECRETS {
        assert_eq!(found(key, value), Some(Detector::Secret), "{key}={value}");
    }
}

#[test]
fn what_identifies_nobody_is_left_alone() {
    for (key, value) in CLEAN {
        assert_eq!(found(key, value), None, "{key}={value}");
        for wrap in WRAPPINGS {
            let wrapped = wrap(value);
            assert_eq!(found("note", &wrapped).filter(|_| found("note", value).is_none()), None, "{wrapped}");
        }
    }
}

const WRAPPINGS: [fn(&str) -> String; 12] = [
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
        // A wrapping leaves no telling key. Base64 is known by text of ASCII at its start.
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
    // Not text: what follows is no finding.
    assert_eq!(found("note", "bm90IHRleHQ6//////9hbGljZUBleGFtcGxlLmNvbQ=="), None);
}

#[test]
fn what_json_escapes_is_read() {
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
fn no_escape_hides_what_comes_after_it() {
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
fn a_secret_is_found_among_others_that_are_none() {
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

#[test]
fn a_detector_that_is_off_finds_nothing_and_hides_nothing() {
    for (detector, key, value) in PERSONAL {
        let finding = scan(Detectors::all().without(*detector), key.as_bytes(), value.as_bytes());
        assert_ne!(finding.map(|it| it.detector), Some(*detector), "{value}");
        assert_eq!(scan(Detectors::none(), key.as_bytes(), value.as_bytes()), None);
        let both = format!("{value} alice@example.com");
        assert!(scan(Detectors::none().with(Detector::Email), b"", both.as_bytes()).is_some(), "{both}");
    }
}

#[test]
fn spans_cover_what_was_found_and_no_more() {
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
fn very_many_encoded_findings_become_one_over_the_whole_value() {
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
    for detector in Detector::ALL {
        assert_eq!(Detector::from_name(detector.name()), Some(detector));
        assert_eq!(detector.name().parse(), Ok(detector));
        assert_eq!(detector.to_string(), detector.name());
        assert!(Detectors::all().contains(detector));
        assert!(!Detectors::all().without(detector).contains(detector));
    }
    assert_eq!(Detector::from_name("e-mail"), None);
    assert_eq!(Detectors::all().iter().count(), Detector::ALL.len());
    assert_eq!(Detector::ALL.into_iter().collect::<Detectors>(), Detectors::all());
}

#[test]
fn the_triggers_fit_their_table() {
    // Were it full, every value would take the slow way.
    assert!(trigger::TRIGGERS.spare() > 0);
    let places: usize = trigger::PATTERNS.iter().map(|pattern| pattern.len()).sum();
    assert!(places <= 256, "{places} places");
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(value: &str, alphabet: &[u8; 64], padded: bool) -> String {
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

fn percent(value: &str) -> String {
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
