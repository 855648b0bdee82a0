//! Contexts in message bodies, from SNS and EventBridge.

use std::{borrow::Cow, collections::BTreeMap};

use propagation_core::StoredContext;
use serde::Deserialize;

/// The deepest nesting is an event in a notification: EventBridge to SNS to SQS.
const DEPTH: usize = 2;

/// Parses a body as a notification of SNS or an event of EventBridge. Returns `None` if it is neither.
pub(crate) fn read(body: &str) -> Option<StoredContext> {
    let mut body = Cow::Borrowed(body);
    for _ in 0..DEPTH {
        let envelope: Envelope<'_> = serde_json::from_str(body.trim_start()).ok()?;
        if let Some(found) = envelope.fields() {
            return Some(found);
        }
        let inner = envelope.message?.into_owned();
        body = Cow::Owned(inner);
    }
    None
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(rename = "Message", borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(rename = "MessageAttributes", default)]
    attributes: BTreeMap<String, Attribute>,
    #[serde(rename = "detail-type", borrow)]
    detail_type: Option<Cow<'a, str>>,
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "Value")]
    value: serde_json::Value,
}

/// The `detail` of an event, where producers write the W3C field names.
#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Object(Context),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Context {
    traceparent: Option<serde_json::Value>,
    tracestate: Option<serde_json::Value>,
    baggage: Option<serde_json::Value>,
}

impl Envelope<'_> {
    fn fields(&self) -> Option<StoredContext> {
        let pairs: Vec<(&str, &serde_json::Value)> = if self.kind.as_deref() == Some("Notification") {
            self.attributes.iter().map(|(name, attribute)| (name.as_str(), &attribute.value)).collect()
        } else if let (Some(_), Some(Detail::Object(detail))) = (&self.detail_type, &self.detail) {
            [("traceparent", &detail.traceparent), ("tracestate", &detail.tracestate), ("baggage", &detail.baggage)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_ref()?)))
                .collect()
        } else {
            return None;
        };
        stored(&pairs)
    }
}

/// Returns the pairs as a carrier. Values that are not text become empty, so that they are rejected and counted.
fn stored(pairs: &[(&str, &serde_json::Value)]) -> Option<StoredContext> {
    let mut text = String::new();
    for (name, value) in pairs {
        let value = value.as_str().filter(|value| !value.contains('\n')).unwrap_or_default();
        if !name.contains(['\n', ':']) {
            text.push_str(name);
            text.push(':');
            text.push_str(value);
            text.push('\n');
        }
    }
    if text.is_empty() { None } else { text.parse().ok() }
}
