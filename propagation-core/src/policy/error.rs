use std::fmt;

use crate::{EscapedText, Transport};

/// A policy could not be built. The message names the rule, the cause and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// A rule has no peers.
    NoPeers {
        /// The rule's name; may be empty.
        rule: String,
    },
    /// A peer pattern is invalid.
    InvalidPeer {
        /// The rule's name, if the pattern is part of a rule.
        rule: Option<String>,
        /// The pattern.
        peer: String,
        /// The expected form.
        expected: String,
    },
    /// A peer pattern names a transport that is neither built in nor declared by the policy.
    UnknownTransport {
        /// The rule's name, if the pattern is part of a rule.
        rule: Option<String>,
        /// The pattern.
        peer: String,
        /// The transport.
        transport: String,
        /// The transports that the policy declares.
        declared: Vec<String>,
    },
    /// A rule allows a baggage key without a name.
    EmptyKey {
        /// The rule's name.
        rule: String,
    },
    /// A rule takes a value of the application's own that cannot become baggage.
    InvalidSource {
        /// The rule's name.
        rule: String,
        /// The cause.
        cause: String,
    },
    /// A regular expression does not compile, or matches every value.
    InvalidPattern {
        /// The expression as it was written.
        pattern: String,
        /// The cause.
        cause: String,
    },
    /// The action `pseudonymize` is used without a key.
    MissingPseudonymKey,
    /// A pseudonym key is unusable.
    InvalidPseudonymKey {
        /// The key's id.
        id: String,
        /// The cause.
        cause: &'static str,
    },
    /// The build lacks a feature of this crate.
    MissingFeature {
        /// The feature's name.
        feature: &'static str,
    },
}

impl PolicyError {
    /// Adds the rule that an invalid peer belongs to.
    pub(super) fn in_rule(mut self, name: &str) -> Self {
        if let Self::InvalidPeer { rule, .. } | Self::UnknownTransport { rule, .. } = &mut self {
            *rule = Some(name.to_owned());
        }
        self
    }

    fn message(&self) -> String {
        match self {
            Self::NoPeers { rule } if rule.is_empty() => "a rule has no peers".to_owned(),
            Self::NoPeers { rule } => format!("rule {rule:?} has no peers"),
            Self::InvalidPeer { rule, peer, expected } => {
                format!("{}{peer:?} is not a peer: {expected}", prefix(rule.as_deref()))
            }
            Self::UnknownTransport { rule, peer, transport, declared } => {
                let known = Transport::BUILT_IN.iter().map(|transport| transport.as_str());
                let known: Vec<&str> = known.chain(declared.iter().map(String::as_str)).collect();
                format!(
                    "{}{peer:?} is not a peer: unknown transport {transport:?}; expected one of: {}; declare the \
                     transport of another adapter, such as transports = [{transport:?}]",
                    prefix(rule.as_deref()),
                    known.join(", ")
                )
            }
            Self::EmptyKey { rule } => format!("rule {rule:?} allows an empty key"),
            Self::InvalidSource { rule, cause } => format!("rule {rule:?}: {cause}"),
            Self::InvalidPattern { pattern, .. } if pattern.is_empty() => "an empty pattern".to_owned(),
            Self::InvalidPattern { pattern, cause } => format!("pattern {pattern:?}: {cause}"),
            Self::MissingPseudonymKey => "the action `pseudonymize` needs a key".to_owned(),
            Self::InvalidPseudonymKey { id, cause } => format!("the pseudonym key {id:?} {cause}"),
            Self::MissingFeature { feature } => format!("this build has no feature `{feature}`"),
        }
    }
}

/// Returns the beginning of a message about a part of a rule.
fn prefix(rule: Option<&str>) -> String {
    rule.map_or_else(String::new, |rule| format!("rule {rule:?}: "))
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        EscapedText::new(&self.message()).with_max_bytes(2048).fmt(f)
    }
}

impl std::error::Error for PolicyError {}
