//! Percent-encoding, as baggage and URLs use it.

/// Everything but letters, digits and `-._~` encoded.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Each valid `%XX` decoded, anything else as it is.
pub(crate) fn decode(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        match (digit(after.first()), digit(after.get(1))) {
            (Some(high), Some(low)) if *first == b'%' => {
                out.push((high << 4) | low);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn encoded_text_decodes_and_stray_percents_stay() {
        assert_eq!(encode("a b%é"), "a%20b%25%C3%A9");
        assert_eq!(decode(b"a%20b%25%C3%A9"), "a b%é".as_bytes());
        assert_eq!(decode(b"100%, %2, %zz"), b"100%, %2, %zz");
    }
}
