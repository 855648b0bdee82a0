//! Base64 of binary gRPC metadata: the standard alphabet, with or without padding.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes bytes without padding.
pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity((bytes.len() * 4).div_ceil(3));
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            let index = usize::try_from(word >> (18 - 6 * place) & 0x3f).unwrap_or_default();
            out.extend(ALPHABET.get(index));
        }
    }
    out
}

/// Decodes text. Returns `None` if a byte is not of the alphabet, the length or the padding is wrong, or bits after the last byte are set.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let letters = match text {
        [rest @ .., b'=', b'='] | [rest @ .., b'='] if text.len().is_multiple_of(4) => rest,
        _ => text,
    };
    let mut out = Vec::with_capacity(letters.len() / 4 * 3 + 2);
    for group in letters.chunks(4) {
        let word = group.iter().try_fold(0_u32, |word, &letter| Some(word << 6 | sextet(letter)?))?;
        let [_, bytes @ ..] = (word << (6 * (4 - group.len()))).to_be_bytes();
        let whole = (group.len() * 6) / 8;
        let (kept, spare) = bytes.split_at_checked(whole)?;
        if whole == 0 || spare.iter().any(|&byte| byte != 0) {
            return None;
        }
        out.extend_from_slice(kept);
    }
    Some(out)
}

fn sextet(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_4648_hold_with_and_without_padding() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
            assert_eq!(decode(text.trim_end_matches('=').as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
            assert_eq!(encode(bytes.as_bytes()), text.trim_end_matches('=').as_bytes());
        }
    }

    #[test]
    fn invalid_text_is_rejected() {
        for text in [
            "Z", "Zg=", "Zg===", "=", "==", "====", "Zm9v=", "Zm9v====", "Z=g=", "Zh==", "Zm9=", "Zm_v", "Zm 9",
            "Zm9v\n",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
    }
}
