use std::{borrow::Cow, fmt};

use super::external::{ExternalText, Masked};
use crate::TraceId;

/// One attribute of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The key, from the semantic conventions.
    pub key: Cow<'static, str>,
    /// The value.
    pub value: AttributeValue,
}

impl Attribute {
    /// Returns an attribute.
    #[must_use]
    pub fn new(key: impl Into<Cow<'static, str>>, value: impl Into<AttributeValue>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Returns an attribute whose value a caller, a publisher or a message chose. Copies no more than a bounded part of it.
    #[must_use]
    pub fn external(key: impl Into<Cow<'static, str>>, text: impl Into<ExternalText>) -> Self {
        Self { key: key.into(), value: AttributeValue::External(text.into()) }
    }

    /// Returns the attribute for a trace-id that came without a parent-id, on a span that is neither in that trace nor linked to it.
    pub(crate) fn received_trace_id(trace_id: TraceId) -> Self {
        Self::new("propagation.received.trace_id", AttributeValue::trusted(trace_id.to_string()))
    }
}

/// The value of an attribute.
///
/// Owned text is external unless [`trusted`](Self::trusted) states otherwise: `From<String>` makes [`External`](Self::External), and
/// `From<&'static str>` makes [`Text`](Self::Text). A bridge receives no external value: the guard has turned them into text.
///
/// ```
/// use propagation_core::AttributeValue;
///
/// assert!(matches!(AttributeValue::from(String::from("a routing key")), AttributeValue::External(_)));
/// assert!(matches!(AttributeValue::from("rabbitmq"), AttributeValue::Text(_)));
/// assert!(matches!(AttributeValue::trusted(String::from("/users/{id}")), AttributeValue::Text(_)));
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum AttributeValue {
    /// Text that the service chose, or that the guard has passed.
    Text(Cow<'static, str>),
    /// Text that a caller, a publisher or a message chose.
    External(ExternalText),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Several texts that the service chose, or that the guard has passed.
    Texts(Vec<String>),
    /// Several texts that a caller, a publisher or a message chose.
    ExternalTexts(Vec<ExternalText>),
}

impl AttributeValue {
    /// Returns owned text that the service itself chose: a route, a configured client id. The guard passes it unread.
    #[must_use]
    pub fn trusted(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(text.into())
    }
}

/// Prints numbers and literals. Prints the length of owned text, which may hold personal data.
impl fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(&Masked(text)).finish(),
            Self::External(text) => f.debug_tuple("External").field(text).finish(),
            Self::Int(number) => f.debug_tuple("Int").field(number).finish(),
            Self::Float(number) => f.debug_tuple("Float").field(number).finish(),
            Self::Bool(truth) => f.debug_tuple("Bool").field(truth).finish(),
            Self::Texts(texts) => {
                let masked: Vec<_> = texts.iter().map(|text| Masked::always(text)).collect();
                f.debug_tuple("Texts").field(&masked).finish()
            }
            Self::ExternalTexts(texts) => f.debug_tuple("ExternalTexts").field(texts).finish(),
        }
    }
}

impl From<&'static str> for AttributeValue {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::External(text.into())
    }
}

impl From<ExternalText> for AttributeValue {
    fn from(text: ExternalText) -> Self {
        Self::External(text)
    }
}

impl From<Cow<'static, str>> for AttributeValue {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<Vec<String>> for AttributeValue {
    fn from(texts: Vec<String>) -> Self {
        Self::ExternalTexts(texts.into_iter().map(ExternalText::from).collect())
    }
}

impl From<Vec<ExternalText>> for AttributeValue {
    fn from(texts: Vec<ExternalText>) -> Self {
        Self::ExternalTexts(texts)
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u16> for AttributeValue {
    fn from(number: u16) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<u32> for AttributeValue {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<usize> for AttributeValue {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for AttributeValue {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for AttributeValue {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}
