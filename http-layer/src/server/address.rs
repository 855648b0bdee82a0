use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, HeaderName};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The remote address of a connection, as a request extension. Policy rules with `address:…` match it, and spans have it as
/// `network.peer.address` and `network.peer.port` where
/// [`with_network_peer`](crate::ServerPropagationLayer::with_network_peer) asks for them.
///
/// Servers other than axum's insert it. With axum, `into_make_service_with_connect_info` is enough.
///
/// ```
/// use std::net::SocketAddr;
/// use propagation_http::PeerAddress;
///
/// // Where the server passes a request of a connection to the service:
/// # let connection = SocketAddr::from(([192, 0, 2, 7], 49152));
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddress::from(connection));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    ip: IpAddr,
    port: Option<u16>,
}

impl PeerAddress {
    /// Returns the IP address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Returns the port, if it is known.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl From<IpAddr> for PeerAddress {
    fn from(ip: IpAddr) -> Self {
        Self { ip, port: None }
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: Some(address.port()) }
    }
}

/// The proxies whose `x-forwarded-for` entries are trusted. By default there are no such proxies, and the header is ignored: any caller
/// can forge it.
///
/// The header is parsed from right to left, because each proxy appends the address of its own peer. The first address that is not a
/// trusted proxy is the caller. Only list proxies that append to the header.
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
/// assert_eq!(caller, Some([203, 0, 113, 7].into()), "entries left of the caller are not trusted");
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Default)]
pub struct TrustedProxies {
    trusted: Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>,
}

impl TrustedProxies {
    /// Trusts the proxies whose address satisfies `trusted`. IPv4-mapped IPv6 addresses are passed as IPv4.
    #[must_use]
    pub fn new(trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self { trusted: Some(Arc::new(trusted)) }
    }

    /// Returns the caller's address: the address of the connection, or the one that trusted proxies report.
    ///
    /// Returns `None` if a trusted proxy reports an entry that is not an address: the proxy's own address must not represent its clients.
    #[must_use]
    pub fn caller(&self, connection: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let mut caller = connection.to_canonical();
        let Some(trusted) = &self.trusted else { return Some(caller) };
        let lines = headers.get_all(&X_FORWARDED_FOR);
        let mut entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
        while trusted(caller) {
            match entries.by_ref().map(<[u8]>::trim_ascii).find(|entry| !entry.is_empty()) {
                Some(entry) => caller = parse(entry)?,
                None => break,
            }
        }
        Some(caller)
    }
}

/// Parses an address as proxies write it: bare, with a port, or in brackets.
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
    fn caller_is_the_nearest_address_of_no_trusted_proxy() {
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
            let untrusting = TrustedProxies::default();
            let connection: IpAddr = connection.parse().unwrap();
            assert_eq!(
                untrusting.caller(connection, &headers),
                Some(connection.to_canonical()),
                "no proxy is trusted by default"
            );
        }
    }
}
