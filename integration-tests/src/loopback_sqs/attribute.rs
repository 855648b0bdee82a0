//! Message attributes and their form in JSON.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::limits;
use super::refusal::Refusal;

/// The attributes of a message by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// One message attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, with an optional label after a dot (`Number.int`).
    pub data_type: String,
    /// The value.
    pub value: AttributeValue,
}

/// The value of an [`Attribute`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Of the types `String` and `Number`.
    Text(String),
    /// Of the type `Binary`.
    Binary(Vec<u8>),
}

/// Which kind of attribute a refusal talks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    System,
}

/// An attribute in a request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireAttribute {
    data_type: Option<String>,
    string_value: Option<String>,
    binary_value: Option<String>,
    #[serde(default)]
    string_list_values: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    binary_list_values: Option<Vec<IgnoredAny>>,
}

/// Attributes in a request.
pub(super) type WireAttributes = BTreeMap<String, WireAttribute>;

impl Attribute {
    /// An attribute of type `String`.
    #[must_use]
    pub fn string(value: impl Into<String>) -> Self {
        Self { data_type: "String".to_owned(), value: AttributeValue::Text(value.into()) }
    }

    /// An attribute of type `Binary`.
    #[must_use]
    pub fn binary(value: impl Into<Vec<u8>>) -> Self {
        Self { data_type: "Binary".to_owned(), value: AttributeValue::Binary(value.into()) }
    }

    /// The value of a `String` or `Number`; none for `Binary`.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Binary(_) => None,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.value {
            AttributeValue::Text(text) => text.as_bytes(),
            AttributeValue::Binary(bytes) => bytes,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match &self.value {
            AttributeValue::Text(text) => json!({"DataType": self.data_type, "StringValue": text}),
            AttributeValue::Binary(bytes) => {
                json!({"DataType": self.data_type, "BinaryValue": BASE64.encode(bytes)})
            }
        }
    }
}

impl Kind {
    /// How the service's messages name it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::User => "Message (user) attribute",
            Self::System => "Message system attribute",
        }
    }
}

impl WireAttribute {
    /// Returns the size that counts towards the limit, without the name.
    pub(super) fn size(&self) -> usize {
        let length = |text: &Option<String>| text.as_deref().map_or(0, str::len);
        let encoded = self.binary_value.as_deref().unwrap_or_default();
        let decoded = encoded.trim_end_matches('=').len() * 3 / 4;
        length(&self.data_type) + length(&self.string_value) + decoded
    }

    /// Checks everything but the name.
    pub(super) fn accept(self, kind: Kind, name: &str) -> Result<Attribute, Refusal> {
        let listed = |list: Option<Vec<IgnoredAny>>| list.is_some_and(|list| !list.is_empty());
        if listed(self.string_list_values) || listed(self.binary_list_values) {
            return Err(Refusal::unsupported(
                "Message attribute list values in SendMessage operation are not supported.",
            ));
        }
        let data_type = self.data_type.unwrap_or_default();
        let base = limits::base_type(kind, name, &data_type)?;
        let text = self.string_value.filter(|text| !text.is_empty());
        let binary = self.binary_value.filter(|encoded| !encoded.is_empty());
        let value = match (base, text, binary) {
            ("Binary", None, Some(encoded)) => AttributeValue::Binary(
                BASE64
                    .decode(encoded)
                    .map_err(|_| Refusal::malformed(&format!("BinaryValue of '{name}' is not base64")))?,
            ),
            ("String" | "Number", Some(text), None) => {
                limits::text_value(kind, name, base, &text)?;
                AttributeValue::Text(text)
            }
            (_, Some(_), Some(_)) => {
                return Err(Refusal::invalid_value(format!(
                    "{} '{name}' has both a string and a binary value.",
                    kind.noun()
                )));
            }
            (base, _, _) => {
                return Err(Refusal::invalid_value(format!(
                    "{} '{name}' must contain a non-empty value of type '{base}'.",
                    kind.noun()
                )));
            }
        };
        Ok(Attribute { data_type, value })
    }
}
