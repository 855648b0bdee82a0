//! Clean values of baggage for the scrubbers, of any size, plausible ones first.

use std::fmt::Write;

use crate::input::OutgoingFields;

/// Five members, 103 bytes with their keys.
pub fn five() -> OutgoingFields {
    [
        ("tenant.id", "acme-42"),
        ("locale", "de-DE"),
        ("feature.flag", "checkout-v2"),
        ("user.id", "usr_8hX2kLq9TzVb3mWc"),
        ("plan.name", "enterprise-annual"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec()
}

const PROSE: &str = "The quick brown fox jumps over the lazy dog, and nobody minds. We ship the parcel tomorrow (if the weather holds). ";
const HEX: &[u8] = b"0123456789abcdef";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Texts as long as one wants.
pub const KINDS: &[(&str, fn(usize) -> String)] = &[
    ("prose", |size| filled(size, |_| PROSE.to_owned())),
    ("json", |size| {
        filled(size, |n| format!(r#"{{"id":{n},"name":"blue shirt","tags":["new","sale"],"price":19.99}},"#))
    }),
    ("pairs", |size| filled(size, |n| format!("item{n}=blue&size=large&count={n}&"))),
    ("hosts", |size| filled(size, |n| format!("api-{n}.eu-west.example.internal,"))),
    ("dates", |size| filled(size, |n| format!("2024-01-31T10:{:02}:{:02}Z ", n / 60 % 60, n % 60))),
    ("user-agents", |size| {
        filled(size, |n| format!("Mozilla/5.0 (X11; Linux x86_64) Chrome/12{}.0.0.0 Safari/537.36;", n % 10))
    }),
    ("hex", |size| random(size, HEX)),
    ("uuids", |size| {
        filled(size, |n| format!("{:08x}-4f89-41d3-9a0c-0305e82c{:04x} ", n * 0x9E37_79B1 % 0xFFFF_FFFF, n))
    }),
    ("base64-random", |size| random(size, BASE64)),
    ("base64-prose", |size| base64(&filled(size * 3 / 4, |_| PROSE.to_owned()))),
    ("epochs", |size| filled(size, |n| format!("{},", 1_700_000_000_000_usize + n * 61_007))),
    ("digit-pairs", |size| filled(size, |n| format!("12 34 56 78 9{n} "))),
    ("versions", |size| filled(size, |n| format!("Chrome/120.{}.0.0 ", n % 200))),
    ("percent-prose", |size| filled(size, |_| PROSE.replace(' ', "%20").replace(',', "%2C"))),
    ("percent-all", |size| percent(&filled(size / 3 + 1, |_| PROSE.to_owned()))),
    ("json-escaped", |size| filled(size, |n| format!(r#"{{\"id\":{n},\"name\":\"blue shirt\"}}\n"#))),
    // Only an attacker sends these, to slow the scrubbers down.
    ("hostile-secrets", |size| filled(size, |_| "secret:".to_owned())),
    ("hostile-bearers", |size| filled(size, |_| "bearer+".to_owned())),
    ("hostile-cards", |size| filled(size, |_| "4111 ".to_owned())),
    ("hostile-ibans", |size| filled(size, |_| "DE12 ".to_owned())),
    ("hostile-signs", |size| filled(size, |_| "@a.".to_owned())),
    ("hostile-wrapped", |size| filled(size, |_| "%A\u{661}:%key:@a9-key0key:".to_owned())),
];

fn filled(size: usize, unit: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(size + 256);
    for n in 0.. {
        if text.len() >= size {
            break;
        }
        text.push_str(&unit(n));
    }
    while !text.is_char_boundary(text.len().min(size)) || text.len() > size {
        text.pop();
    }
    text
}

/// Deterministic: xorshift from a fixed seed.
fn random(size: usize, alphabet: &[u8]) -> String {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(alphabet[(state >> 16) as usize % alphabet.len()])
    };
    (0..size).map(next).collect()
}

fn base64(text: &str) -> String {
    let digit = |bits: u32| char::from(BASE64[bits as usize & 63]);
    let mut encoded = String::new();
    for three in text.as_bytes().chunks_exact(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        encoded.extend([18, 12, 6, 0].map(|by| digit(bits >> by)));
    }
    encoded
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}
