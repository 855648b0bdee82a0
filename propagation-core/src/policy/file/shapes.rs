//! Values of a policy file that have two forms.
//!
//! Deserialized by hand: serde's untagged enums report neither the wrong word nor its place.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use toml::Spanned;

/// `tracestate = false`, or a list of keys.
pub(super) enum State {
    AllOrNone(bool),
    Keys(Vec<String>),
}

/// `"tenant.id"`, or a table with constraints.
pub(super) enum AllowedKey {
    Name(String),
    Rule(Box<DetailedKey>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DetailedKey {
    pub(super) key: Spanned<String>,
    pub(super) max_length: Option<usize>,
    pub(super) values: Option<Vec<String>>,
    pub(super) pattern: Option<String>,
    pub(super) mode: Option<String>,
    /// `false` for none, or the name of an action.
    pub(super) scrub: Option<ScrubKey>,
    pub(super) span_attribute: Option<String>,
    pub(super) every_span: Option<bool>,
}

/// `scrub = false`, or the name of an action.
pub(super) enum ScrubKey {
    Switch(bool),
    Action(String),
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = State;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a list of keys")
            }

            fn visit_bool<E: Error>(self, all: bool) -> Result<State, E> {
                Ok(State::AllOrNone(all))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, keys: A) -> Result<State, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(keys)).map(State::Keys)
            }
        }

        from.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for AllowedKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = AllowedKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key, or a table with a key")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<AllowedKey, E> {
                Ok(AllowedKey::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, rule: A) -> Result<AllowedKey, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(rule)).map(AllowedKey::Rule)
            }
        }

        from.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for ScrubKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = ScrubKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or an action: drop, redact, mask, pseudonymize")
            }

            fn visit_bool<E: Error>(self, scrubbed: bool) -> Result<ScrubKey, E> {
                Ok(ScrubKey::Switch(scrubbed))
            }

            fn visit_str<E: Error>(self, action: &str) -> Result<ScrubKey, E> {
                Ok(ScrubKey::Action(action.to_owned()))
            }
        }

        from.deserialize_any(Either)
    }
}
