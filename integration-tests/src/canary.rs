//! Marked personal data and secrets, and a search for leaks of them.
//!
//! A canary looks just like personal data or a secret, has valid check digits, and is like no other test's. Put canaries
//! into a request's baggage, let it travel, collect all that was seen, and claim that none is there:
//!
//! ```
//! use propagation_testkit::canary::{Canaries, CanaryKind, Encoding, Evidence};
//!
//! let canaries = Canaries::new();
//! let email = canaries.get(CanaryKind::Email).encoded(Encoding::Percent).expect("an address can be encoded");
//! let evidence = Evidence::new().line("gateway's log", format!("user={email}"));
//!
//! // First with the policy off: a canary that is never found proves nothing by its absence.
//! canaries.only(&[CanaryKind::Email]).assert_present(&evidence);
//! // Then with the policy on:
//! canaries.assert_absent(&Evidence::new().line("gateway's log", "user=redacted"));
//! ```

mod generate;
mod log;
mod search;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

pub use log::LogCapture;
pub use search::{CanaryMatch, Evidence};

use crate::text::{base64, percent};

/// The kind of data that a canary imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CanaryKind {
    /// An e-mail address under a domain reserved for examples.
    Email,
    /// A payment card number: 16 digits with a valid check digit.
    Card,
    /// A German IBAN with valid check digits.
    Iban,
    /// A US social security number with dashes.
    Ssn,
    /// A phone number in international form.
    Phone,
    /// An IPv4 address from a range reserved for documentation.
    Ipv4,
    /// An IPv6 address from a range reserved for documentation.
    Ipv6,
    /// A MAC address.
    Mac,
    /// A JSON web token.
    Jwt,
    /// A private key in PEM armour.
    Pem,
    /// An access key id of AWS.
    AwsKey,
    /// A personal access token of GitHub.
    GithubToken,
    /// A live secret key of Stripe.
    StripeKey,
    /// A bot token of Slack.
    SlackToken,
    /// An API key of Google.
    GoogleKey,
    /// An `Authorization` value with a bearer token.
    Bearer,
    /// An `Authorization` value with a name and password.
    Basic,
    /// A secret of high entropy, for a key such as `password`.
    Secret,
}

impl CanaryKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Email,
        Self::Card,
        Self::Iban,
        Self::Ssn,
        Self::Phone,
        Self::Ipv4,
        Self::Ipv6,
        Self::Mac,
        Self::Jwt,
        Self::Pem,
        Self::AwsKey,
        Self::GithubToken,
        Self::StripeKey,
        Self::SlackToken,
        Self::GoogleKey,
        Self::Bearer,
        Self::Basic,
        Self::Secret,
    ];

    /// Whether people write it in groups, with spaces, dashes or dots between.
    fn is_grouped(self) -> bool {
        matches!(self, Self::Card | Self::Iban | Self::Ssn | Self::Phone)
    }
}

/// An encoding of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// Unchanged.
    Plain,
    /// Percent-encoded.
    Percent,
    /// Percent-encoded twice.
    DoublePercent,
    /// In base64.
    Base64,
    /// In groups with separators between.
    Separated,
    /// In full-width characters, as East Asian input methods make them.
    FullWidth,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: &[Self] =
        &[Self::Plain, Self::Percent, Self::DoublePercent, Self::Base64, Self::Separated, Self::FullWidth];
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "as it is",
            Self::Percent => "percent-encoded",
            Self::DoublePercent => "percent-encoded twice",
            Self::Base64 => "in base64",
            Self::Separated => "with separators",
            Self::FullWidth => "in full-width characters",
        })
    }
}

/// One value to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    kind: CanaryKind,
    plain: String,
}

impl Canary {
    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> CanaryKind {
        self.kind
    }

    /// The value as it is.
    #[must_use]
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// Returns the value in this encoding; `None` if the encoding does not apply to the kind.
    #[must_use]
    pub fn encoded(&self, encoding: Encoding) -> Option<String> {
        match encoding {
            Encoding::Plain => Some(self.plain.clone()),
            Encoding::Percent => Some(percent_encode(&self.plain)),
            Encoding::DoublePercent => Some(percent::encode(&percent_encode(&self.plain))),
            Encoding::Base64 => Some(base64::encode(self.plain.as_bytes())),
            Encoding::Separated => self.kind.is_grouped().then(|| grouped(&self.plain)),
            Encoding::FullWidth => Some(self.plain.chars().map(full_width).collect()),
        }
    }
}

/// Values made only of letters and digits have nothing that must be encoded: then every character is, as hostile senders do.
fn percent_encode(plain: &str) -> String {
    let encoded = percent::encode(plain);
    if encoded == plain { plain.bytes().map(|byte| format!("%{byte:02X}")).collect() } else { encoded }
}

fn grouped(plain: &str) -> String {
    let bare: Vec<char> = plain.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '+').collect();
    let groups: Vec<String> = bare.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

fn full_width(c: char) -> char {
    match c {
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c),
        other => other,
    }
}

/// A canary of each kind, like no other set's.
#[derive(Debug, Clone)]
pub struct Canaries(Vec<Canary>);

impl Default for Canaries {
    fn default() -> Self {
        Self::new()
    }
}

impl Canaries {
    /// One of each kind, different each time: another test's canary is never taken for this one's.
    #[must_use]
    pub fn new() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    /// One of each kind, the same for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let canary = |kind| Canary { kind, plain: generate::plain(kind, seed) };
        Self(CanaryKind::ALL.iter().copied().map(canary).collect())
    }

    /// Returns the canaries of these kinds.
    #[must_use]
    pub fn only(&self, kinds: &[CanaryKind]) -> Self {
        Self(self.0.iter().filter(|canary| kinds.contains(&canary.kind)).cloned().collect())
    }

    /// The canary of this kind.
    ///
    /// # Panics
    /// In a set that was narrowed to others with [`only`](Self::only).
    #[must_use]
    #[track_caller]
    pub fn get(&self, kind: CanaryKind) -> &Canary {
        match self.0.iter().find(|canary| canary.kind == kind) {
            Some(canary) => canary,
            None => panic!("this set has no canary of the kind {kind:?}"),
        }
    }

    /// Every canary.
    pub fn iter(&self) -> impl Iterator<Item = &Canary> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests;
