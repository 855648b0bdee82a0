//! The `user:password@` of a URL or a connection string.

use crate::class::{at, from};

/// The bytes of `user:password`.
const USER_INFO: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
        {
            table[byte] = byte > 0x20 && byte != 0x7F;
        }
        byte += 1;
    }
    let mut others: &[u8] = b"/@?#\"<>";
    while let [byte, rest @ ..] = others {
        #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
        {
            table[*byte as usize] = false;
        }
        others = rest;
    }
    table
};

fn is_user_info(byte: u8) -> bool {
    USER_INFO.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Returns the start of the `user:password` whose `@` is at `index`.
pub(crate) fn user_info(bytes: &[u8], index: usize) -> Option<usize> {
    const LONGEST: usize = 256;
    let head = bytes.get(..index)?;
    let mut length = 0;
    let mut has_colon = false;
    for byte in head.iter().rev().take(LONGEST).take_while(|byte| is_user_info(**byte)) {
        length += 1;
        has_colon |= *byte == b':';
    }
    let (before, user_info) = head.split_at_checked(head.len() - length)?;
    if has_colon {
        let password = user_info.iter().position(|byte| *byte == b':').map_or(0, |colon| user_info.len() - colon - 1);
        if password > 0 && before.ends_with(b"://") {
            return Some(before.len());
        }
        // `root:pw@tcp(db:3306)/shop`, `root:pw@localhost`: no URL, but nothing else is written so.
        if password > 2 && is_server(from(bytes, index + 1)) && !before.ends_with(b"/") {
            let name = user_info.iter().rposition(|byte| matches!(byte, b'=' | b'"' | b'\'' | b'(' | b',' | b';'));
            return Some(before.len() + name.map_or(0, |place| place + 1));
        }
    }
    // `scott/tiger@//db:1521/shop` is Oracle's form.
    let user = before.strip_suffix(b"/")?;
    let name = user.iter().rev().take(32).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let scheme = user.get(..user.len() - name)?;
    let is_oracle = scheme.ends_with(b":thin:") || scheme.ends_with(b":oci:") || scheme.ends_with(b"sqlplus ");
    (is_oracle && name > 0 && length > 0).then(|| user.len() - name)
}

/// Whether the address of a database server follows.
fn is_server(rest: &[u8]) -> bool {
    [&b"tcp("[..], b"unix(", b"localhost", b"127.0.0.1", b"(", b"//"].iter().any(|start| rest.starts_with(start))
        || (at(rest, 0) == b'[' && at(rest, 1) == b':')
}
