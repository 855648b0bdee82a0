//! The size limit of a content header frame.

use lapin::{BasicProperties, Connection, types::AMQPValue, types::FieldTable};

/// The largest frame of a connection, in bytes.
///
/// A broker closes the whole connection after a larger frame (AMQP 0-9-1, 4.2.3), and all headers of a message are in one frame. A
/// channel does not expose its limit: convert the connection, or the configured number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimit(u32);

impl FrameLimit {
    /// RabbitMQ's default, in bytes.
    pub const DEFAULT: Self = Self(131_072);

    /// Returns the most bytes of properties: all but the frame's own 8 and the header's 12 (AMQP 0-9-1, 2.3.5.2).
    pub(crate) fn properties(self) -> usize {
        // Zero means no limit.
        if self.0 == 0 { usize::MAX } else { (self.0 as usize).saturating_sub(8 + 12) }
    }
}

impl From<&Connection> for FrameLimit {
    fn from(connection: &Connection) -> Self {
        Self(connection.configuration().frame_max())
    }
}

impl From<u32> for FrameLimit {
    fn from(bytes: u32) -> Self {
        Self(bytes)
    }
}

/// Returns the size of all properties except the headers, including the flags.
pub(crate) fn without_headers(properties: &BasicProperties) -> usize {
    let texts = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.expiration(),
        properties.message_id(),
        properties.kind(),
        properties.user_id(),
        properties.app_id(),
        properties.cluster_id(),
    ];
    let texts: usize = texts.into_iter().flatten().map(|text| 1 + text.as_str().len()).sum();
    let octets = usize::from(properties.delivery_mode().is_some()) + usize::from(properties.priority().is_some());
    2 + texts + octets + if properties.timestamp().is_some() { 8 } else { 0 }
}

/// Returns the size of a table, including its length.
pub(crate) fn table(table: &FieldTable) -> usize {
    4 + table.inner().iter().map(|(name, value)| entry(name.as_str(), value_of(value))).sum::<usize>()
}

/// Returns the size of an entry whose value has the given size.
pub(crate) fn entry(name: &str, value: usize) -> usize {
    1 + name.len() + 1 + value
}

/// Returns the size of a long string.
pub(crate) fn long_string(text: &[u8]) -> usize {
    4 + text.len()
}

/// The bytes of a value. Arrays and tables nest as deep as a publisher likes, so their parts wait in a list instead of on the stack.
fn value_of(value: &AMQPValue) -> usize {
    let mut waiting = Vec::new();
    let mut bytes = without_parts(value, &mut waiting);
    while let Some(part) = waiting.pop() {
        bytes += without_parts(part, &mut waiting);
    }
    bytes
}

/// The bytes of a value without those of its parts, which are added to `waiting`.
fn without_parts<'v>(value: &'v AMQPValue, waiting: &mut Vec<&'v AMQPValue>) -> usize {
    match value {
        AMQPValue::Void => 0,
        AMQPValue::Boolean(_) | AMQPValue::ShortShortInt(_) | AMQPValue::ShortShortUInt(_) => 1,
        AMQPValue::ShortInt(_) | AMQPValue::ShortUInt(_) => 2,
        AMQPValue::LongInt(_) | AMQPValue::LongUInt(_) | AMQPValue::Float(_) => 4,
        AMQPValue::DecimalValue(_) => 5,
        AMQPValue::LongLongInt(_) | AMQPValue::Double(_) | AMQPValue::Timestamp(_) => 8,
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::LongString(text) => long_string(text.as_bytes()),
        AMQPValue::ByteArray(bytes) => long_string(bytes.as_slice()),
        AMQPValue::FieldArray(values) => {
            waiting.extend(values.as_slice());
            4 + values.as_slice().len()
        }
        AMQPValue::FieldTable(inner) => {
            waiting.extend(inner.inner().values());
            4 + inner.inner().keys().map(|name| entry(name.as_str(), 0)).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, mem::ManuallyDrop};

    use super::*;

    #[test]
    fn nested_values_are_measured_without_recursion() {
        const DEPTH: usize = 200_000;
        let array = |inner| AMQPValue::FieldArray(vec![inner].into());
        let table = |inner| AMQPValue::FieldTable([("k".into(), inner)].into_iter().collect::<BTreeMap<_, _>>().into());
        let nest =
            |wrap: &dyn Fn(AMQPValue) -> AMQPValue| (0..DEPTH).fold(AMQPValue::Boolean(true), |inner, _| wrap(inner));
        // Dropping them would recurse.
        let (arrays, tables) = (ManuallyDrop::new(nest(&array)), ManuallyDrop::new(nest(&table)));
        assert_eq!(value_of(&arrays), DEPTH * 5 + 1);
        assert_eq!(value_of(&tables), DEPTH * 7 + 1);
    }
}
