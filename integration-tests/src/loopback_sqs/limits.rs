//! The limits of the service on one message and its attributes.

use super::attribute::Kind;
use super::refusal::Refusal;

/// The most bytes of a message and of a batch: body plus names, types and values of all attributes.
pub(super) const MAX_BYTES: usize = 1_048_576;
/// The most attributes of a message.
pub(super) const MAX_ATTRIBUTES: usize = 10;
/// The most characters of an attribute's name, and of its type.
pub(super) const MAX_NAME: usize = 256;
/// The longest delay of a message, in seconds.
pub(super) const MAX_DELAY: i64 = 900;
/// The longest visibility timeout, in seconds.
pub(super) const MAX_VISIBILITY: i64 = 43_200;
/// The longest wait of a receive, in seconds.
pub(super) const MAX_WAIT: i64 = 20;

/// Whether XML 1.0 allows the character: `#x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]`.
fn is_xml(c: char) -> bool {
    matches!(c, '\u{9}' | '\u{A}' | '\u{D}' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// A message body: not empty, legal characters.
pub(super) fn body(body: &str) -> Result<(), Refusal> {
    if body.is_empty() {
        return Err(Refusal::missing("MessageBody"));
    }
    if !body.chars().all(is_xml) {
        return Err(Refusal::invalid_contents(
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | \
             #xE000 to #xFFFD | #x10000 to #x10FFFF",
        ));
    }
    Ok(())
}

/// The name of a message attribute.
pub(super) fn attribute_name(name: &str) -> Result<(), Refusal> {
    let refuse = |reason: &str| {
        Err(Refusal::invalid_value(format!("Message (user) attribute name '{name}' is invalid: {reason}.")))
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let starts_with = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if name.is_empty() {
        return Err(Refusal::invalid_value("The request must contain non-empty message (user) attribute names."));
    }
    if !name.chars().all(legal) {
        return refuse("it can contain A-Z, a-z, 0-9, underscores, hyphens and periods only");
    }
    if name.len() > MAX_NAME {
        return refuse("it can be at most 256 characters long");
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return refuse("it must not start or end with a period, nor have periods in succession");
    }
    if starts_with("AWS.") || starts_with("Amazon.") {
        return refuse("the prefixes AWS. and Amazon. are reserved");
    }
    Ok(())
}

/// The supported type before an optional label, from `String`, `Number`, `Binary`.
pub(super) fn base_type(kind: Kind, name: &str, data_type: &str) -> Result<&'static str, Refusal> {
    if data_type.is_empty() {
        return Err(Refusal::invalid_value(format!(
            "{} '{name}' must contain a non-empty attribute type.",
            kind.noun()
        )));
    }
    if data_type.chars().count() > MAX_NAME || !data_type.chars().all(is_xml) {
        return Err(Refusal::invalid_value(format!(
            "The type of {} '{name}' is too long or has illegal characters.",
            kind.noun()
        )));
    }
    let (base, label) = match data_type.split_once('.') {
        Some((base, label)) => (base, Some(label)),
        None => (data_type, None),
    };
    ["Binary", "Number", "String"]
        .into_iter()
        .find(|supported| *supported == base && label.is_none_or(|label| !label.is_empty()))
        .ok_or_else(|| {
            Refusal::invalid_value(format!(
                "The type of {} '{name}' is invalid. You must use only the following supported type prefixes: \
                 Binary, Number, String.",
                kind.noun()
            ))
        })
}

/// A value of the types `String` and `Number`.
pub(super) fn text_value(kind: Kind, name: &str, base: &str, text: &str) -> Result<(), Refusal> {
    if !text.chars().all(is_xml) {
        return Err(Refusal::invalid_value(format!(
            "Invalid characters found in the value of {} '{name}'. Valid unicode characters are #x9 | #xA | #xD | \
             #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
            kind.noun()
        )));
    }
    // Rust's parser takes `inf` and `nan` too, which are no numbers here.
    let is_number = || {
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
            && text.parse::<f64>().is_ok()
    };
    if base == "Number" && !is_number() {
        return Err(Refusal::invalid_value(format!("Can't cast the value of {} '{name}' to a number.", kind.noun())));
    }
    Ok(())
}

/// A whole number of a request within its range.
pub(super) fn in_range(name: &str, value: i64, least: i64, most: i64) -> Result<u64, Refusal> {
    if (least..=most).contains(&value)
        && let Ok(value) = u64::try_from(value)
    {
        return Ok(value);
    }
    Err(Refusal::invalid_parameter(value, name, &format!("Must be between {least} and {most}, if provided.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attribute_names_follow_the_developer_guide() {
        let longest = "a".repeat(256);
        for legal in ["traceparent", "a.b-c_D9", "0", "aws", "AWSTraceHeader", "Amazonas.x", &longest] {
            assert_eq!(attribute_name(legal), Ok(()), "{legal}");
        }
        let too_long = "a".repeat(257);
        for illegal in [
            "", ".a", "a.", "a..b", ".", "a b", "a:b", "ä", "AWS.a", "aws.a", "aWs.a", "Amazon.a", "AMAZON.a", "a\n",
            &too_long,
        ] {
            assert!(attribute_name(illegal).is_err(), "{illegal}");
        }
    }

    #[test]
    fn types_have_one_of_three_bases_and_an_optional_label() {
        let longest = format!("String.{}", "a".repeat(249));
        for (legal, base) in
            [("String", "String"), ("Number.int", "Number"), ("Binary.gif.x", "Binary"), (&longest, "String")]
        {
            assert_eq!(base_type(Kind::User, "a", legal), Ok(base), "{legal}");
        }
        let too_long = format!("{longest}a");
        for illegal in ["", "string", "String.", "Strings", "Int", ".String", "String.\u{1}", &too_long] {
            assert!(base_type(Kind::User, "a", illegal).is_err(), "{illegal}");
        }
    }

    #[test]
    fn characters_are_those_of_xml() {
        for legal in ["\t\n\r ", "\u{D7FF}", "\u{E000}", "\u{FFFD}", "\u{10000}", "\u{10FFFF}", "\u{7F}"] {
            assert_eq!(body(legal), Ok(()), "{legal:?}");
        }
        for illegal in ["", "\0", "\u{8}", "\u{B}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"] {
            assert!(body(illegal).is_err(), "{illegal:?}");
        }
    }

    #[test]
    fn numbers_are_numbers() {
        for legal in ["0", "-1", "+1.5", "1e3", "4563442423554324324264524243.32543234"] {
            assert_eq!(text_value(Kind::User, "a", "Number", legal), Ok(()), "{legal}");
        }
        for illegal in ["x", "1x", "nan", "inf", "-", "1 "] {
            assert!(text_value(Kind::User, "a", "Number", illegal).is_err(), "{illegal}");
        }
    }
}
