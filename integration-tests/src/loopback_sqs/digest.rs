//! The digests that SDKs verify, in the developer guide's definition.

use std::fmt::Write;

use md5::{Digest, Md5};

use super::attribute::{Attribute, AttributeValue};

/// The digest of a message body.
pub(super) fn of_body(body: &str) -> String {
    hex(Md5::digest(body))
}

/// The digest of attributes, which must come in the order of their names; none when there are none.
///
/// Each attribute contributes its name, its type, one byte for how the value travels (1 text, 2 bytes), and the value;
/// name, type and value are preceded by their length as four bytes, big-endian.
pub(super) fn of_attributes<'a>(attributes: impl IntoIterator<Item = (&'a String, &'a Attribute)>) -> Option<String> {
    let mut hasher = Md5::new();
    let mut empty = true;
    for (name, attribute) in attributes {
        empty = false;
        update_sized(&mut hasher, name.as_bytes());
        update_sized(&mut hasher, attribute.data_type.as_bytes());
        hasher.update(match attribute.value {
            AttributeValue::Text(_) => [1],
            AttributeValue::Binary(_) => [2],
        });
        update_sized(&mut hasher, attribute.bytes());
    }
    (!empty).then(|| hex(hasher.finalize()))
}

/// Sixteen bytes that differ for every input, in the form of a UUID: message and request ids.
pub(super) fn uuid(seed: &str) -> String {
    let mut text = hex(Md5::digest(seed));
    for dash in [20, 16, 12, 8] {
        text.insert(dash, '-');
    }
    text
}

fn update_sized(hasher: &mut Md5, bytes: &[u8]) {
    // Requests are capped far below 4 GiB; a tap's attribute is not digested before it is stored, but may be after.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hasher.update(length.to_be_bytes());
    hasher.update(bytes);
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    let mut text = String::with_capacity(32);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::attribute::Attributes;
    use super::*;

    fn number(label: &str, value: &str) -> Attribute {
        Attribute { data_type: format!("Number{label}"), ..Attribute::string(value) }
    }

    fn digest(attributes: &[(&str, Attribute)]) -> Option<String> {
        let attributes: Attributes =
            attributes.iter().map(|(name, attribute)| ((*name).to_owned(), attribute.clone())).collect();
        of_attributes(&attributes)
    }

    /// Digests that were recorded from the service, or published as examples.
    #[test]
    fn digests_are_the_ones_of_the_service() {
        assert_eq!(of_body("msg"), "6e2baaf3b97dbeef01c0043275f9a0e7");
        let vectors: &[(&[(&str, Attribute)], &str)] = &[
            (
                &[
                    ("Help.Me", Attribute::string("Me")),
                    ("Hello", Attribute::string("There")),
                    ("General", Attribute::string("Kenobi")),
                ],
                "4c360f3fdafd970e05fae2f149d997f5",
            ),
            (&[("Hello", Attribute::string("There"))], "a311262e065454b75da111d535b8dacd"),
            (
                &[(
                    "attr1",
                    Attribute::binary("traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"),
                )],
                "8cbe4db156db8a94db8b801b7addb984",
            ),
            (
                &[("customNumberTypeAttrib", number(".float", "4563442423554324324264524243.32543234"))],
                "9fe1b90bbd9965bdf77bac517c7d2495",
            ),
            (
                &[(
                    "AWSTraceHeader",
                    Attribute::string("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"),
                )],
                "5ae4d5d7636402d80f4eb6d213245a88",
            ),
        ];
        for (attributes, expected) in vectors {
            assert_eq!(digest(attributes).as_deref(), Some(*expected), "{attributes:?}");
        }
        assert_eq!(digest(&[]), None);
    }

    #[test]
    fn ids_look_like_uuids_and_differ() {
        let id = uuid("1");
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(id, uuid("2"));
    }
}
