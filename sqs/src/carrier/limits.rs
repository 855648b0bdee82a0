//! The limits of SQS: slots, bytes, names.

use std::collections::HashMap;

use aws_sdk_sqs::types::MessageAttributeValue;
use propagation_core::FieldNames;

use super::PACKED_ATTRIBUTE;

/// The most attributes of a message.
pub(super) const SLOTS: usize = 10;

/// The data type of the written attributes, which counts towards the size.
pub(super) const DATA_TYPE: &str = "String";

/// Returns `true` if an injection may write or remove this attribute.
pub(crate) fn is_ours(name: &str, names: &FieldNames) -> bool {
    name.eq_ignore_ascii_case(PACKED_ATTRIBUTE) || names.contains(name)
}

/// Returns the size of a written attribute.
pub(super) fn attribute_size(name: &str, value: usize) -> usize {
    name.len() + DATA_TYPE.len() + value
}

/// Returns the size of attributes: names, types and values.
pub(crate) fn attributes_size(attributes: Option<&HashMap<String, MessageAttributeValue>>) -> usize {
    attributes.into_iter().flatten().map(|(name, value)| size(name, value)).sum()
}

/// Returns the size of the attributes that an injection keeps.
pub(crate) fn kept_size(attributes: Option<&HashMap<String, MessageAttributeValue>>, names: &FieldNames) -> usize {
    kept(attributes, names).1
}

/// Returns the number and the size of the attributes that an injection keeps.
pub(super) fn kept(attributes: Option<&HashMap<String, MessageAttributeValue>>, names: &FieldNames) -> (usize, usize) {
    let kept = attributes.into_iter().flatten().filter(|(name, _)| !is_ours(name, names));
    kept.fold((0, 0), |(count, bytes), (name, value)| (count + 1, bytes + size(name, value)))
}

fn size(name: &str, value: &MessageAttributeValue) -> usize {
    let text = value.string_value.as_ref().map_or(0, String::len);
    let binary = value.binary_value.as_ref().map_or(0, |blob| blob.as_ref().len());
    name.len() + value.data_type.len() + text + binary
}

/// Returns `true` if SQS accepts the name: 1 to 256 of `A-Z a-z 0-9 _ - .`, no dot at either end, no two in a row, no reserved prefix.
pub(super) fn is_legal_name(name: &str) -> bool {
    let reserved = |prefix: &str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    // As if there were a dot before the name.
    let mut after_dot = true;
    let is_legal = |byte| match byte {
        b'.' => !std::mem::replace(&mut after_dot, true),
        byte => {
            after_dot = false;
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
        }
    };
    (1..=256).contains(&name.len())
        && name.bytes().all(is_legal)
        && !name.ends_with('.')
        && !reserved("AWS.")
        && !reserved("Amazon.")
}

/// Returns `true` if SQS accepts the value: not empty, only characters of XML 1.0.
pub(super) fn is_legal_value(value: &str) -> bool {
    let is_xml = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    // All values that the formats write are printable ASCII, which needs no decoding.
    let is_printable = value.bytes().fold(true, |printable, byte| printable & matches!(byte, b' '..=b'~'));
    !value.is_empty() && (is_printable || value.chars().all(is_xml))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names_are_those_that_sqs_accepts() {
        for name in ["traceparent", "uberctx-tenant.id", "a", &"n".repeat(256)] {
            assert!(is_legal_name(name), "{name}");
        }
        for name in ["", ".a", "a.", "a..b", "a b", "a!", "aws.id", "AMAZON.id", "é", &"n".repeat(257)] {
            assert!(!is_legal_name(name), "{name}");
        }
    }

    #[test]
    fn legal_values_are_those_that_sqs_accepts() {
        for value in ["00-4bf9", "a\tb\nc", "\u{1F600}"] {
            assert!(is_legal_value(value), "{value:?}");
        }
        for value in ["", "a\u{1}", "\u{0}", "\u{FFFE}", "\u{1b}["] {
            assert!(!is_legal_value(value), "{value:?}");
        }
    }
}
