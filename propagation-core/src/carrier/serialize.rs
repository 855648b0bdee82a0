//! The serde form of a stored context: a map of names and values.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};

use super::StoredContext;

/// Serializes as a map: `{"traceparent": "00-…", "baggage": "tenant.id=acme"}`.
impl Serialize for StoredContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Deserializes from a map of text values.
///
/// In a self-describing format such as JSON, a malformed context does not fail the job that it belongs to: a value of another type
/// reads as empty, so that it is rejected and counted, and anything but a map reads as no context. Fields beyond
/// [`StoredContext::MAX_BYTES`] are dropped.
impl<'de> Deserialize<'de> for StoredContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Fields { lenient: true })
        } else {
            deserializer.deserialize_map(Fields { lenient: false })
        }
    }
}

struct Fields {
    lenient: bool,
}

impl<'de> Visitor<'de> for Fields {
    type Value = StoredContext;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of context fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StoredContext, A::Error> {
        let mut fields = Vec::new();
        let mut room = StoredContext::MAX_BYTES;
        while let Some(name) = map.next_key::<String>()? {
            let value = if self.lenient { map.next_value::<Text>()?.0 } else { map.next_value()? };
            // A stored string separates name and value by a colon, and fields by line ends.
            let value = if value.contains(['\n', '\r']) { String::new() } else { value };
            if name.is_empty() || name.contains([':', '\n', '\r']) {
                continue;
            }
            let size = name.len().saturating_add(value.len());
            if size <= room {
                room -= size;
                fields.push((name, value));
            }
        }
        Ok(StoredContext { fields })
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<StoredContext, E> {
        Ok(StoredContext::new())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<StoredContext, E> {
        Ok(StoredContext::new())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<StoredContext, E> {
        Ok(StoredContext::new())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<StoredContext, E> {
        Ok(StoredContext::new())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<StoredContext, E> {
        Ok(StoredContext::new())
    }

    fn visit_unit<E: Error>(self) -> Result<StoredContext, E> {
        Ok(StoredContext::new())
    }

    fn visit_none<E: Error>(self) -> Result<StoredContext, E> {
        Ok(StoredContext::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<StoredContext, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<StoredContext, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(StoredContext::new())
    }
}

/// Text, or an empty value in place of any other type.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of a context field")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text, E> {
        Ok(Text(text))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Text, E> {
        Ok(Text(String::new()))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Text, E> {
        Ok(Text(String::new()))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Text, E> {
        Ok(Text(String::new()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Text, E> {
        Ok(Text(String::new()))
    }

    fn visit_unit<E: Error>(self) -> Result<Text, E> {
        Ok(Text(String::new()))
    }

    fn visit_none<E: Error>(self) -> Result<Text, E> {
        Ok(Text(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(String::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(String::new()))
    }
}
