//! Hosts in canonical form, in which rules and peers are compared.

use std::{borrow::Cow, net::IpAddr};

/// Returns the canonical form of a host or of a pattern for hosts: lower case, without the dot at the end of a fully qualified name,
/// addresses without brackets and in their shortest form.
pub(super) fn canonical(host: &str) -> Cow<'_, str> {
    if is_canonical(host) {
        return host.into();
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.to_canonical().to_string().into();
    }
    // Without its dot, `*.` would match every host.
    let name = bare.strip_suffix('.').filter(|name| !name.ends_with('*')).unwrap_or(bare);
    name.to_ascii_lowercase().into()
}

fn is_canonical(host: &str) -> bool {
    let is_odd = |byte: u8| byte.is_ascii_uppercase() | (byte == b':') | (byte == b'[');
    // Without an early exit, so that the compiler can look at several bytes at once.
    !host.ends_with('.') && !host.bytes().fold(false, |odd, byte| odd | is_odd(byte))
}

/// Returns true for a name without a dot, which only a network's own resolver knows. A number is an address: resolvers read `2130706433` and `0x7f000001` as 127.0.0.1.
pub(super) fn is_single_label(host: &str) -> bool {
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let digits = host.strip_prefix("0x").unwrap_or(host);
    let is_number = digits.len() < host.len() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        || host.bytes().all(|byte| byte.is_ascii_digit());
    !host.is_empty() && host.bytes().all(is_label) && !is_number
}
