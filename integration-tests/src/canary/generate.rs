//! Generates realistic values.

use super::CanaryKind;
use crate::fault::Random;
use crate::text::base64;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";

pub(super) fn plain(kind: CanaryKind, seed: u64) -> String {
    let place = CanaryKind::ALL.iter().position(|other| *other == kind).unwrap_or_default();
    let mut random = Random::new(seed ^ (u64::try_from(place).unwrap_or_default() << 56));
    let mut pick = |from: &str, count: usize| -> String {
        let from: Vec<char> = from.chars().collect();
        (0..count).filter_map(|_| from.get(random.below(from.len())).copied()).collect()
    };
    let word = format!("{LOWER}{UPPER}{DIGITS}");
    match kind {
        CanaryKind::Email => format!("canary.{}@{}.example.com", pick(LOWER, 8), pick(LOWER, 5)),
        CanaryKind::Card => with_luhn(&format!("4{}", pick(DIGITS, 14))),
        CanaryKind::Iban => iban(&pick(DIGITS, 18)),
        CanaryKind::Ssn => {
            // Area numbers 000, 666 and 9xx, group 00 and serial 0000 are never given out.
            format!(
                "{}{}-{}{}-{}{}",
                pick("12345", 1),
                pick(DIGITS, 2),
                pick("123456789", 1),
                pick(DIGITS, 1),
                pick("123456789", 1),
                pick(DIGITS, 3)
            )
        }
        CanaryKind::Phone => format!("+4930{}{}", pick("123456789", 1), pick(DIGITS, 8)),
        CanaryKind::Ipv4 => format!("203.0.113.{}{}{}", pick("1", 1), pick(DIGITS, 1), pick(DIGITS, 1)),
        CanaryKind::Ipv6 => {
            let hex = "123456789abcdef";
            format!(
                "2001:db8:{}:{}:{}:{}:{}:{}",
                pick(hex, 4),
                pick(hex, 4),
                pick(hex, 4),
                pick(hex, 4),
                pick(hex, 4),
                pick(hex, 4)
            )
        }
        CanaryKind::Mac => {
            let octets: Vec<String> = (0..5).map(|_| pick("0123456789abcdef", 2)).collect();
            format!("02:{}", octets.join(":"))
        }
        CanaryKind::Jwt => {
            let part =
                |json: &str| base64::encode(json.as_bytes()).trim_end_matches('=').replace('+', "-").replace('/', "_");
            let claims = format!(r#"{{"sub":"{}","admin":true}}"#, pick(&word, 12));
            format!("{}.{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims), pick(&word, 43))
        }
        CanaryKind::Pem => {
            format!("-----BEGIN PRIVATE KEY-----\n{}\n{}\n-----END PRIVATE KEY-----", pick(&word, 64), pick(&word, 64))
        }
        CanaryKind::AwsKey => format!("{}{}", ["AK", "IA"].concat(), pick(&format!("{UPPER}234567"), 16)),
        CanaryKind::GithubToken => format!("{}{}", ["gh", "p_"].concat(), pick(&word, 36)),
        CanaryKind::StripeKey => format!("{}{}", ["sk_", "live_"].concat(), pick(&word, 24)),
        CanaryKind::SlackToken => {
            format!("{}{}-{}-{}", ["xo", "xb-"].concat(), pick(DIGITS, 12), pick(DIGITS, 12), pick(&word, 24))
        }
        CanaryKind::GoogleKey => format!("{}{}", ["AI", "za"].concat(), pick(&word, 35)),
        CanaryKind::Bearer => format!("Bearer {}", pick(&word, 40)),
        CanaryKind::Basic => {
            format!("Basic {}", base64::encode(format!("{}:{}", pick(LOWER, 8), pick(&word, 13)).as_bytes()))
        }
        CanaryKind::Secret => pick(&format!("{word}!#$%&*+-/"), 28),
    }
}

/// Adds the check digit that makes the sum of all digits, every second one doubled, end in zero.
fn with_luhn(digits: &str) -> String {
    let sum: u32 = digits
        .chars()
        .rev()
        .filter_map(|c| c.to_digit(10))
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit) {
            (0, 5..) => digit * 2 - 9,
            (0, _) => digit * 2,
            _ => digit,
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// `DE`, two check digits, eighteen digits: with the country moved to the end and letters as numbers, 1 modulo 97.
fn iban(account: &str) -> String {
    let remainder =
        format!("{account}131400").chars().filter_map(|c| c.to_digit(10)).fold(0, |sum, digit| (sum * 10 + digit) % 97);
    format!("DE{:02}{account}", 98 - remainder)
}
