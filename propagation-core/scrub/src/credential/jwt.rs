//! JSON web tokens (RFC 7519), signed or encrypted.

use crate::class::{at, count, from, is_base64_url};

/// Returns the end of the token that begins at `start`: two or more parts between dots, the first of which decodes to `{"…`.
///
/// `done` is the end of the last attempt that failed: no token begins before it.
pub(super) fn jwt(bytes: &[u8], start: usize, done: &mut usize) -> Option<usize> {
    if start < *done || !from(bytes, start).starts_with(b"eyJ") {
        return None;
    }
    let mut end = start + count(bytes, start, usize::MAX, is_base64_url);
    *done = end;
    if end - start < 12 {
        return None;
    }
    let mut parts = 1;
    while parts < 5 && at(bytes, end) == b'.' {
        let length = count(bytes, end + 1, usize::MAX, is_base64_url);
        // The key of a direct JWE and the signature of an unsecured token are empty.
        if length == 0 && parts == 1 && at(bytes, end + 1) != b'.' {
            break;
        }
        end += 1 + length;
        parts += 1;
    }
    (parts >= 2).then_some(end)
}
