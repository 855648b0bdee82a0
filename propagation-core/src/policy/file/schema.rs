//! The words of a policy file.

use std::collections::BTreeMap;
#[cfg(feature = "reload")]
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{
    PolicyFileError,
    shapes::{AllowedKey, State},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) struct File {
    /// Asks for a policy without rules.
    pub(super) open: Option<bool>,
    pub(super) profile: Option<Spanned<String>>,
    pub(super) scrub: Option<Scrubbing>,
    pub(super) pseudonyms: Option<Pseudonyms>,
    pub(super) existing_outside_hops: Option<Spanned<String>>,
    pub(super) telemetry: Option<Telemetry>,
    /// Transports of adapters outside of this repository.
    #[serde(default)]
    pub(super) transports: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) inbound: Vec<Spanned<Inbound>>,
    #[serde(default)]
    pub(super) outbound: Vec<Spanned<Outbound>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scrubbing {
    /// Without it, all.
    pub(super) detectors: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) except: Vec<Spanned<String>>,
    pub(super) action: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) patterns: BTreeMap<String, Spanned<String>>,
}

/// Bounds of texts from outside, in bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Telemetry {
    pub(super) max_name_bytes: Option<Spanned<i64>>,
    pub(super) max_value_bytes: Option<Spanned<i64>>,
    pub(super) max_stacktrace_bytes: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pseudonyms {
    pub(super) current: Spanned<Key>,
    pub(super) previous: Option<Spanned<Key>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) id: String,
    /// The environment variable that holds the key.
    pub(super) env: Option<String>,
    /// The file that holds the key; a line end at its end is not part of it.
    pub(super) file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inbound {
    pub(super) name: Option<String>,
    pub(super) peers: Vec<Spanned<String>>,
    pub(super) trust: Option<Spanned<String>>,
    pub(super) mode: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) baggage: Vec<Spanned<AllowedKey>>,
    /// Baggage keys by the header that their values come from.
    #[serde(default)]
    pub(super) baggage_from_headers: BTreeMap<String, Spanned<AllowedKey>>,
    /// Baggage keys by the claim that their values come from.
    #[serde(default)]
    pub(super) baggage_from_claims: BTreeMap<String, Spanned<AllowedKey>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outbound {
    pub(super) name: Option<String>,
    pub(super) peers: Vec<Spanned<String>>,
    pub(super) trace_context: Option<bool>,
    pub(super) tracestate: Option<State>,
    pub(super) mode: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) baggage: Vec<Spanned<AllowedKey>>,
}

/// Parses a policy file.
pub(super) fn parse(text: &str) -> Result<File, PolicyFileError> {
    toml::from_str(text).map_err(|error| PolicyFileError::at(text, error.span(), error.message().trim()))
}

/// Returns the files that a policy file reads pseudonym keys from.
#[cfg(feature = "reload")]
pub(crate) fn key_files(text: &str) -> Vec<PathBuf> {
    let pseudonyms = parse(text).ok().and_then(|file| file.pseudonyms);
    let keys =
        pseudonyms.into_iter().flat_map(|pseudonyms| std::iter::once(pseudonyms.current).chain(pseudonyms.previous));
    keys.filter_map(|key| key.into_inner().file).map(PathBuf::from).collect()
}
