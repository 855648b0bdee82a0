//! The `forwarded` header (RFC 7239), as far as its `for` parameter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, header::FORWARDED};

/// The maximum length of an element, in bytes. Longer ones are malformed.
const MAX_ELEMENT: usize = 1_024;

/// Returns the addresses in the `for` parameters, from right to left. `None` is an element without an address: one that is
/// malformed, has no `for`, or names an unknown or obfuscated node. Empty elements are skipped.
pub(super) fn entries(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let elements = headers.get_all(FORWARDED).iter().rev().flat_map(|line| Elements(Some(line.as_bytes())));
    elements.filter(|element| element.is_none_or(|element| !element.is_empty())).map(|element| node(element?))
}

/// Iterates over the elements of one field line, from right to left. An unbalanced quoted-string yields `None`, and ends the iteration.
///
/// The nearest proxy has written the last element, so that element is well-formed. Read from the left, a quote that a caller left open
/// would hide it.
struct Elements<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Elements<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0.take()?;
        let mut quoted = false;
        for (at, &byte) in line.iter().enumerate().rev() {
            if byte == b'"' {
                let escapes = line.get(..at)?.iter().rev().take_while(|&&byte| byte == b'\\').count();
                match (escapes % 2 == 1, quoted) {
                    (false, _) => quoted = !quoted,
                    (true, true) => {}
                    // An escaped quote outside of a string.
                    (true, false) => return Some(None),
                }
            } else if byte == b',' && !quoted {
                self.0 = line.get(..at);
                return Some(line.get(at + 1..).map(<[u8]>::trim_ascii));
            }
        }
        Some((!quoted).then(|| line.trim_ascii()))
    }
}

/// Returns the address in the `for` parameter of an element.
fn node(element: &[u8]) -> Option<IpAddr> {
    if element.len() > MAX_ELEMENT {
        return None;
    }
    let mut rest = element;
    let mut found = None;
    loop {
        let (name, after) = rest.split_at_checked(rest.iter().position(|&byte| byte == b'=')?)?;
        let (value, after) = value(after.get(1..)?)?;
        let name = name.trim_ascii();
        if name.is_empty() || !name.iter().all(|&byte| is_token_byte(byte)) {
            return None;
        }
        // Each parameter occurs once (RFC 7239, 4).
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
        match after.trim_ascii_start() {
            [] => break,
            [b';', more @ ..] => rest = more,
            _ => return None,
        }
    }
    address(&found?)
}

/// Reads a token or quoted-string, and returns it with the bytes after it.
fn value(text: &[u8]) -> Option<(String, &[u8])> {
    let mut value = String::new();
    let Some(quoted) = text.strip_prefix(b"\"") else {
        // Some proxies write addresses with ports without quotes.
        let is_end = |&byte: &u8| !is_token_byte(byte) && !matches!(byte, b':' | b'[' | b']');
        let (token, rest) = text.split_at_checked(text.iter().position(is_end).unwrap_or(text.len()))?;
        return (!token.is_empty()).then(|| (token.iter().copied().map(char::from).collect(), rest));
    };
    let mut bytes = quoted.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, quoted.get(at + 1..)?)),
            b'\\' => value.push(char::from(bytes.next()?.1)),
            _ => value.push(char::from(byte)),
        }
    }
    None
}

/// Parses a node: an address, optionally with a port. IPv6 addresses are in brackets (RFC 7239, 6).
fn address(node: &str) -> Option<IpAddr> {
    let (address, port) = match node.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']')?;
            (IpAddr::from(address.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (address, port) = node.split_at_checked(node.find(':').unwrap_or(node.len()))?;
            (IpAddr::from(address.parse::<Ipv4Addr>().ok()?), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(port) => is_obfuscated(port) || (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()),
    };
    is_port.then_some(address)
}

/// Returns `true` for an obfuscated identifier: `_` and at least one more character (RFC 7239, 6.3).
fn is_obfuscated(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_legal))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[&[u8]]) -> Vec<Option<IpAddr>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("forwarded", HeaderValue::from_bytes(line).unwrap());
        }
        entries(&headers).collect()
    }

    #[test]
    fn addresses_are_read_from_right_to_left() {
        for (lines, addresses) in [
            (&["for=192.0.2.43, for=198.51.100.17"][..], &["198.51.100.17", "192.0.2.43"][..]),
            (&["for=192.0.2.43", "for=198.51.100.17;by=x"], &["198.51.100.17", "192.0.2.43"]),
            (&["For=\"[2001:db8:cafe::17]:4711\""], &["2001:db8:cafe::17"]),
            (&["for=\"[2001:db8::1]\";proto=https;host=\"a,b;c\""], &["2001:db8::1"]),
            (&["by=203.0.113.43; for=192.0.2.60:80 ;proto=http"], &["192.0.2.60"]),
            (&["for=\"192.0.2.60:_port\""], &["192.0.2.60"]),
            (&["for=[2001:db8::1]:80"], &["2001:db8::1"]),
            (&["for=\"1\\92.0.2.1\""], &["192.0.2.1"]),
            (&[", for=192.0.2.1 ,, "], &["192.0.2.1"]),
            (&["for=unknown"], &["-"]),
            (&["for=_hidden, for=192.0.2.1"], &["192.0.2.1", "-"]),
            (&["for=\"_SEVKISEK\""], &["-"]),
            (&["for=unknown:80"], &["-"]),
            (&["proto=https"], &["-"]),
            (&["for=192.0.2.1;for=192.0.2.2"], &["-"]),
            (&["for = 192.0.2.1"], &["-"]),
            (&["for=192.0.2.1;"], &["-"]),
            (&["for=\"2001:db8::1\""], &["-"]),
            (&["for=[192.0.2.1]"], &["-"]),
            (&["for=192.0.2.1:123456"], &["-"]),
            (&["for=192.0.2.1:_"], &["-"]),
            (&["for=\"192.0.2.1"], &["-"]),
            (&["for=\"192.0.2.1\"x"], &["-"]),
            (&["192.0.2.1"], &["-"]),
            (&[""], &[]),
        ] {
            let lines_of_bytes: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            let found: Vec<String> =
                read(&lines_of_bytes).into_iter().map(|entry| entry.map_or("-".into(), |a| a.to_string())).collect();
            assert_eq!(found, addresses, "{lines:?}");
        }
        let long = format!("for=192.0.2.1;x={}", "y".repeat(MAX_ELEMENT));
        assert_eq!(read(&[long.as_bytes()]), [None]);
    }

    fn header_bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'"'), Just(b'\\'), Just(b','), Just(b';'), Just(b'='), 0x20_u8..0x7f, 0x80_u8..];
        proptest::collection::vec(byte, 0..80)
    }

    /// An element as a proxy may write it, and its address.
    fn element() -> impl Strategy<Value = (String, IpAddr)> {
        let v4 = any::<Ipv4Addr>().prop_map(|a| (a.to_string(), IpAddr::from(a)));
        let v6 = any::<Ipv6Addr>().prop_map(|a| (format!("[{a}]"), IpAddr::from(a)));
        let port = prop_oneof![Just(String::new()), any::<u16>().prop_map(|p| format!(":{p}")), Just(":_p.1".into())];
        let extra = prop_oneof![Just(""), Just(";proto=https"), Just(";host=\"a, \\\" b\""), Just("; by=_x")];
        let name = prop_oneof![Just("for"), Just("For"), Just("FOR")];
        (prop_oneof![v4, v6], port, extra, name)
            .prop_map(|((node, address), port, extra, name)| (format!("{name}=\"{node}{port}\"{extra}"), address))
    }

    proptest! {
        #[test]
        fn well_formed_elements_are_read(elements in proptest::collection::vec(element(), 1..6), space in "[ \t]{0,2}") {
            let line: Vec<&str> = elements.iter().map(|(text, _)| text.as_str()).collect();
            let found = read(&[line.join(&format!("{space},{space}")).as_bytes()]);
            let expected: Vec<_> = elements.iter().rev().map(|(_, address)| Some(*address)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn received_bytes_cannot_hide_the_last_element(received in header_bytes(), (own, address) in element()) {
            let line = [&received[..], b", ", own.as_bytes()].concat();
            prop_assert_eq!(read(&[&line]).first().copied(), Some(Some(address)));
            prop_assert_eq!(read(&[&received, own.as_bytes()]).first().copied(), Some(Some(address)));
        }

        #[test]
        fn arbitrary_bytes_yield_at_most_one_entry_per_comma(received in header_bytes()) {
            let commas = received.iter().filter(|&&byte| byte == b',').count();
            prop_assert!(read(&[&received]).len() <= commas + 1);
        }
    }
}
