//! Malformed fields, as hostile, broken or outdated senders write them.
//!
//! [`malformed_fields`] lists sets of fields that a consumer must survive; [`shuffled`] and [`redelivered`] do to a series
//! of messages as brokers do. Results are the same in each run.
//!
//! ```
//! use propagation_testkit::fault::malformed_fields;
//! for poison in malformed_fields() {
//!     // Build a message with poison.fields, hand it to the consumer, and assert: it was handled, and the next one too.
//!     println!("{}: {} fields", poison.name, poison.fields.len());
//! }
//! ```

/// A trace id, parent and flags that are valid, for poison that must differ from something valid in one point only.
pub const VALID_TRACE_PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Another valid one.
pub const OTHER_TRACE_PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A set of fields that no well-behaved sender would send.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MalformedFields {
    /// A description of the fault.
    pub name: &'static str,
    /// The class of the fault.
    pub fault: Fault,
    /// The fields, in order.
    pub fields: Vec<(String, MalformedValue)>,
    /// Whether a reader must take no parent from it and so begin a trace. `None` where transports differ: of two values
    /// on a Kafka record the last counts, on an HTTP request neither does.
    pub refused: Option<bool>,
}

/// The sorts of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A field that may occur once occurs twice.
    Duplicate,
    /// A field with no value.
    Null,
    /// A field of another type than text.
    WrongType,
    /// A field beyond all limits.
    Oversized,
    /// A field that was cut off.
    Truncated,
    /// Text that breaks the grammar.
    Malformed,
    /// Bytes that are no text.
    NotUtf8,
}

/// A value of any type that some transport has. A transport without the type leaves the poison out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MalformedValue {
    /// Text or bytes.
    Bytes(Vec<u8>),
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// A list of values.
    List(Vec<MalformedValue>),
    /// Named values.
    Table(Vec<(String, MalformedValue)>),
}

impl MalformedValue {
    /// The bytes, for transports that know nothing else; `None` for every other type.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl From<&str> for MalformedValue {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for MalformedValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// A poison in the making: its name, its fault, whether it is refused, its fields.
type Row = (&'static str, Fault, Option<bool>, Vec<(&'static str, MalformedValue)>);

/// All the poison, the largest of it 1 MiB.
#[must_use]
pub fn malformed_fields() -> Vec<MalformedFields> {
    use Fault::{Duplicate, Malformed, NotUtf8, Null, Oversized, Truncated, WrongType};
    let parent = |value: MalformedValue| vec![("traceparent", value)];
    let beside =
        |name: &'static str, value: MalformedValue| vec![("traceparent", VALID_TRACE_PARENT.into()), (name, value)];
    let nested =
        (0..32).fold(MalformedValue::Null, |inner, _| MalformedValue::Table(vec![("traceparent".to_owned(), inner)]));
    let list: Vec<Row> = vec![
        (
            "two different traceparents",
            Duplicate,
            None,
            vec![("traceparent", VALID_TRACE_PARENT.into()), ("traceparent", OTHER_TRACE_PARENT.into())],
        ),
        (
            "traceparent repeated",
            Duplicate,
            None,
            vec![("traceparent", VALID_TRACE_PARENT.into()), ("traceparent", VALID_TRACE_PARENT.into())],
        ),
        (
            "two traceparents joined by a comma",
            Duplicate,
            Some(true),
            parent(format!("{VALID_TRACE_PARENT}, {OTHER_TRACE_PARENT}").as_str().into()),
        ),
        (
            "baggage repeated",
            Duplicate,
            Some(false),
            vec![("traceparent", VALID_TRACE_PARENT.into()), ("baggage", "a=1".into()), ("baggage", "a=2".into())],
        ),
        ("a traceparent of no value", Null, Some(true), parent(MalformedValue::Null)),
        ("an empty traceparent", Null, Some(true), parent("".into())),
        ("a baggage of no value", Null, Some(false), beside("baggage", MalformedValue::Null)),
        ("a traceparent that is a number", WrongType, Some(true), parent(MalformedValue::Int(-1))),
        ("a traceparent that is a fraction", WrongType, Some(true), parent(MalformedValue::Double(f64::NAN))),
        ("a traceparent that is a truth value", WrongType, Some(true), parent(MalformedValue::Bool(true))),
        (
            "a traceparent that is a list of traceparents",
            WrongType,
            Some(true),
            parent(MalformedValue::List(vec![VALID_TRACE_PARENT.into()])),
        ),
        ("tables in tables, 32 deep", WrongType, Some(true), parent(nested.clone())),
        ("baggage that is a table", WrongType, Some(false), beside("baggage", nested)),
        ("1 MiB of commas as baggage", Oversized, Some(false), beside("baggage", vec![b','; 1 << 20].into())),
        (
            "1 MiB of one baggage value",
            Oversized,
            Some(false),
            beside("baggage", [b"a=".to_vec(), vec![b'x'; 1 << 20]].concat().into()),
        ),
        (
            "ten thousand baggage members",
            Oversized,
            Some(false),
            beside("baggage", "k=v,".repeat(10_000).as_str().into()),
        ),
        ("1 MiB of commas as tracestate", Oversized, Some(false), beside("tracestate", vec![b','; 1 << 20].into())),
        ("33 tracestate members", Oversized, Some(false), beside("tracestate", "k=v,".repeat(33).as_str().into())),
        ("1 MiB of zeros as traceparent", Oversized, Some(true), parent(vec![b'0'; 1 << 20].into())),
        (
            "a traceparent without its last byte",
            Truncated,
            Some(true),
            parent(VALID_TRACE_PARENT.get(..54).unwrap_or_default().into()),
        ),
        (
            "a traceparent without its flags",
            Truncated,
            Some(true),
            parent(VALID_TRACE_PARENT.get(..52).unwrap_or_default().into()),
        ),
        ("half a percent-encoded character", Truncated, Some(false), beside("baggage", "a=%C3%,b=%,c=%4".into())),
        ("a tracestate cut in a member", Truncated, Some(false), beside("tracestate", "a=1,b".into())),
        ("upper-case digits", Malformed, Some(true), parent(VALID_TRACE_PARENT.to_uppercase().as_str().into())),
        (
            "a plus sign where a digit must be",
            Malformed,
            Some(true),
            parent("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ),
        (
            "ids of zeros",
            Malformed,
            Some(true),
            parent("00-00000000000000000000000000000000-0000000000000000-01".into()),
        ),
        ("version ff", Malformed, Some(true), parent("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into())),
        ("line breaks in baggage", Malformed, Some(false), beside("baggage", "a=1\r\nx-evil: 1".into())),
        ("bytes that are no text as traceparent", NotUtf8, Some(true), parent(vec![0xff, 0xfe, 0x00, 0x80].into())),
        (
            "bytes that are no text as baggage",
            NotUtf8,
            Some(false),
            beside("baggage", vec![b'a', b'=', 0xff, 0xc0].into()),
        ),
        ("zero bytes as tracestate", NotUtf8, Some(false), beside("tracestate", vec![0; 64].into())),
    ];
    list.into_iter()
        .map(|(name, fault, refused, fields)| MalformedFields {
            name,
            fault,
            refused,
            fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        })
        .collect()
}

/// Returns the messages in another order, determined by the seed.
#[must_use]
pub fn shuffled<T>(mut messages: Vec<T>, seed: u64) -> Vec<T> {
    let mut random = Random::new(seed);
    for last in (1..messages.len()).rev() {
        messages.swap(last, random.below(last + 1));
    }
    messages
}

/// Returns the messages with `times` redeliveries of each, at once or some messages later; in the same
/// order for the same seed. The first deliveries keep their order.
#[must_use]
pub fn redelivered<T: Clone>(messages: &[T], times: usize, seed: u64) -> Vec<T> {
    let mut random = Random::new(seed);
    let mut slots: Vec<(usize, usize, T)> = Vec::with_capacity(messages.len() * (times + 1));
    for (at, message) in messages.iter().enumerate() {
        slots.push((at * 2, at, message.clone()));
        for _ in 0..times {
            slots.push(((at + random.below(4)) * 2 + 1, at, message.clone()));
        }
    }
    slots.sort_by_key(|(place, at, _)| (*place, *at));
    slots.into_iter().map(|(_, _, message)| message).collect()
}

/// A small generator (splitmix64): tests need the same numbers each time, not good ones.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::wire::TraceParent;

    #[test]
    fn malformed_fields_cover_each_fault_and_refused_are_invalid() {
        let all = malformed_fields();
        let sorts: HashSet<Fault> = all.iter().map(|poison| poison.fault).collect();
        assert_eq!(sorts.len(), 7);
        let names: HashSet<&str> = all.iter().map(|poison| poison.name).collect();
        assert_eq!(names.len(), all.len());
        for poison in all.iter().filter(|poison| poison.refused.is_some()) {
            let parents = poison.fields.iter().filter(|(name, _)| name == "traceparent");
            let valid = parents.filter_map(|(_, value)| value.as_bytes()).any(|value| TraceParent::read(value).is_ok());
            assert_eq!(poison.refused, Some(!valid), "{}", poison.name);
        }
    }

    #[test]
    fn shuffling_and_redelivery_lose_nothing_and_repeat_themselves() {
        let messages: Vec<u32> = (0..50).collect();
        let mixed = shuffled(messages.clone(), 7);
        assert_ne!(mixed, messages);
        assert_eq!(mixed, shuffled(messages.clone(), 7));
        let mut sorted = mixed;
        sorted.sort_unstable();
        assert_eq!(sorted, messages);
        let again = redelivered(&messages, 2, 7);
        assert_eq!(again.len(), 150);
        let mut first = Vec::new();
        again.iter().filter(|message| !first.contains(*message)).copied().collect::<Vec<_>>().into_iter().for_each(
            |message| {
                if !first.contains(&message) {
                    first.push(message);
                }
            },
        );
        assert_eq!(first, messages, "first deliveries keep their order");
        assert!(again.windows(2).any(|pair| pair[0] > pair[1]), "some redeliveries come late");
    }
}
