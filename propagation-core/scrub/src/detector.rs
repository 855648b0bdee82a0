//! The detectors by name, and sets of them.

use std::fmt;
use std::str::FromStr;

/// One kind of personal data or secret that can be recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Detector {
    /// An e-mail address.
    Email,
    /// A payment card number: issuer prefix, length and Luhn's check digit.
    PaymentCard,
    /// An international bank account number: country, its length and the check digits.
    Iban,
    /// A United States social security number, in groups of 3-2-4; in any other form only after `SSN` or under a key that names it.
    UsSsn,
    /// A telephone number: in international form (`+`, or `00` and groups), in North American form (`415-555-2671`), or after a word or
    /// under a key that announces one.
    Phone,
    /// An IPv4 address, but not a version number.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An Ethernet (MAC) address.
    Mac,
    /// A JSON web token, signed or encrypted.
    Jwt,
    /// A key or certificate: PEM, PGP and SSH2 armour, `PuTTY` files, and private keys in base64 without armour.
    Pem,
    /// An AWS access key id, session token or Bedrock key.
    AwsKey,
    /// A GitHub token.
    GithubToken,
    /// A Stripe key or webhook secret.
    StripeKey,
    /// A Slack token or webhook.
    SlackToken,
    /// A Google API key, OAuth token or client secret.
    GoogleKey,
    /// A `Bearer` credential as in an `Authorization` header.
    Bearer,
    /// A `Basic` credential as in an `Authorization` header, or the `user:password@` of a URL or connection string.
    Basic,
    /// A credential of another scheme: `Digest`, `Negotiate`, `AWS4-HMAC-SHA256`, `Token`, …
    Authorization,
    /// A `Cookie` or `Set-Cookie` header with a value that looks random, or a session cookie.
    Cookie,
    /// A token, key or webhook address of another provider with a published format: GitLab, npm, OpenAI, …
    ProviderToken,
    /// A value that looks random under a key that names a secret (`password`, `api_key`, …), or after such a name in a text.
    Secret,
}

impl Detector {
    /// Every detector.
    pub const ALL: &[Self] = &[
        Self::Email,
        Self::PaymentCard,
        Self::Iban,
        Self::UsSsn,
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
        Self::Authorization,
        Self::Cookie,
        Self::ProviderToken,
        Self::Secret,
    ];

    /// Returns the name as policy files and reports spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::PaymentCard => "payment-card",
            Self::Iban => "iban",
            Self::UsSsn => "us-ssn",
            Self::Phone => "phone",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Mac => "mac",
            Self::Jwt => "jwt",
            Self::Pem => "pem",
            Self::AwsKey => "aws-key",
            Self::GithubToken => "github-token",
            Self::StripeKey => "stripe-key",
            Self::SlackToken => "slack-token",
            Self::GoogleKey => "google-key",
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::ProviderToken => "provider-token",
            Self::Secret => "secret",
        }
    }

    /// Returns the detector with exactly this [`name`](Self::name); `None` if the name is unknown.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|detector| detector.name() == name)
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Detector {
    type Err = UnknownDetector;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or(UnknownDetector(()))
    }
}

/// The error of an unknown detector name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDetector(());

impl fmt::Display for UnknownDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown detector name")
    }
}

impl std::error::Error for UnknownDetector {}

/// A set of detectors.
///
/// ```
/// # use propagation_scrub::{Detector, Detectors};
/// let set = Detectors::all().without(Detector::Ipv4);
/// assert!(set.contains(Detector::Email) && !set.contains(Detector::Ipv4));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Detectors(u32);

impl Detectors {
    /// Returns the set of all detectors.
    #[must_use]
    pub const fn all() -> Self {
        Self((1 << Detector::ALL.len()) - 1)
    }

    /// Returns the empty set.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Returns this set with `detector`.
    #[must_use]
    pub const fn with(self, detector: Detector) -> Self {
        Self(self.0 | detector.bit())
    }

    /// Returns this set without `detector`.
    #[must_use]
    pub const fn without(self, detector: Detector) -> Self {
        Self(self.0 & !detector.bit())
    }

    /// Whether `detector` is in the set.
    #[must_use]
    pub const fn contains(self, detector: Detector) -> bool {
        self.0 & detector.bit() != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the detectors in the set, in the order of [`Detector::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Detector> {
        Detector::ALL.iter().copied().filter(move |detector| self.contains(*detector))
    }
}

impl FromIterator<Detector> for Detectors {
    fn from_iter<I: IntoIterator<Item = Detector>>(detectors: I) -> Self {
        detectors.into_iter().fold(Self::none(), Self::with)
    }
}
