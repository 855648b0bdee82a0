use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, HeaderName};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a connection comes from, as a request extension: for servers that are not axum's. Policy rules with `address:…`
/// match it. axum's `into_make_service_with_connect_info` needs no such thing.
///
/// ```
/// use std::net::SocketAddr;
/// use propagation_http::PeerAddress;
///
/// // Where the server hands a request of a connection on:
/// # let connection = SocketAddr::from(([192, 0, 2, 7], 49152));
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddress(connection.ip()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// The proxies whose word counts for who a caller is. The default is none: `x-forwarded-for` is then what any caller can make up.
///
/// The header is read from its right end, where the nearest proxy has added the address that it was connected from; the first one that
/// is not itself a trusted proxy is the caller. So only name proxies that add to the header.
///
/// ```
/// use std::net::IpAddr;
/// use http::HeaderMap;
/// use propagation_http::TrustedProxies;
///
/// let proxies = TrustedProxies::new(|address| matches!(address, IpAddr::V4(v4) if v4.is_private()));
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "10.9.9.9, 203.0.113.7".parse()?);
/// let caller = proxies.caller([10, 0, 0, 1].into(), &headers);
/// assert_eq!(caller, Some([203, 0, 113, 7].into()), "what stands left of the caller is the caller's own invention");
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Default)]
pub struct TrustedProxies {
    trusted: Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>,
}

impl TrustedProxies {
    /// The proxies whose address passes. IPv4 addresses written as IPv6 are asked about as IPv4.
    #[must_use]
    pub fn new(trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self { trusted: Some(Arc::new(trusted)) }
    }

    /// Who called, for a connection from an address: that address, or what trusted proxies say of who connected to them.
    ///
    /// `None` where a trusted proxy names something that is no address: the proxy's own must not stand for whoever is behind it.
    #[must_use]
    pub fn caller(&self, connection: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let mut caller = connection.to_canonical();
        let Some(trusted) = &self.trusted else { return Some(caller) };
        let lines = headers.get_all(&X_FORWARDED_FOR);
        let mut said = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
        while trusted(caller) {
            match said.by_ref().map(<[u8]>::trim_ascii).find(|entry| !entry.is_empty()) {
                Some(entry) => caller = parse(entry)?,
                None => break,
            }
        }
        Some(caller)
    }
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse::<IpAddr>().ok().or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedProxies").field("any", &self.trusted.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_the_nearest_address_that_no_trusted_proxy_has() {
        let proxies = TrustedProxies::new(|address| matches!(address, IpAddr::V4(v4) if v4.is_private()));
        for (connection, lines, caller) in [
            ("203.0.113.7", &["10.0.0.1"][..], Some("203.0.113.7")),
            ("10.0.0.1", &["203.0.113.7"], Some("203.0.113.7")),
            ("::ffff:10.0.0.1", &["203.0.113.7"], Some("203.0.113.7")),
            ("10.0.0.1", &["10.9.9.9, 203.0.113.7, 10.0.0.2"], Some("203.0.113.7")),
            ("10.0.0.1", &["10.9.9.9", "203.0.113.7"], Some("203.0.113.7")),
            ("10.0.0.1", &["198.51.100.1", "203.0.113.7"], Some("203.0.113.7")),
            ("10.0.0.1", &["203.0.113.7:4711"], Some("203.0.113.7")),
            ("10.0.0.1", &["[2001:db8::1]:4711"], Some("2001:db8::1")),
            ("10.0.0.1", &["[2001:db8::1]"], Some("2001:db8::1")),
            ("10.0.0.1", &["2001:db8::1"], Some("2001:db8::1")),
            ("10.0.0.1", &["203.0.113.7, ,,"], Some("203.0.113.7")),
            ("10.0.0.1", &["unknown"], None),
            ("10.0.0.1", &["203.0.113.7, _hidden"], None),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], Some("10.0.0.2")),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let caller = caller.map(|caller| caller.parse().unwrap());
            assert_eq!(proxies.caller(connection.parse().unwrap(), &headers), caller, "{connection} {lines:?}");
            let nobody = TrustedProxies::default();
            let connection: IpAddr = connection.parse().unwrap();
            assert_eq!(
                nobody.caller(connection, &headers),
                Some(connection.to_canonical()),
                "nobody is believed by default"
            );
        }
    }
}
