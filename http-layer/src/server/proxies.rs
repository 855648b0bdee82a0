use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, HeaderName, header::FORWARDED};

use super::forwarded;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The maximum number of entries that are read. No real chain of proxies is as long.
const MAX_ENTRIES: usize = 64;

/// A header in which proxies report the address of their peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardingHeader {
    /// `x-forwarded-for`.
    XForwardedFor,
    /// `forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies whose `x-forwarded-for` and `forwarded` (RFC 7239) entries are trusted. By default there are no such proxies, and the headers
/// are ignored: any caller can forge them.
///
/// A header is parsed from right to left, because each proxy appends the address of its own peer. The first address that is not a
/// trusted proxy is the caller. Only list proxies that append to the header.
///
/// If a request has both headers, they have to report the same caller. Otherwise the caller is unknown: one of them was forged, and nothing
/// shows which. [`with_header`](Self::with_header) states the header that the proxies write; the other one is ignored then.
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
    header: Option<ForwardingHeader>,
}

impl TrustedProxies {
    /// Trusts the proxies whose address satisfies `trusted`. IPv4-mapped IPv6 addresses are passed as IPv4.
    #[must_use]
    pub fn new(trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self { trusted: Some(Arc::new(trusted)), header: None }
    }

    /// Sets the header that the proxies write. The other one is ignored.
    #[must_use]
    pub fn with_header(mut self, header: ForwardingHeader) -> Self {
        self.header = Some(header);
        self
    }

    /// Replaces the trusted proxies, and keeps the header.
    pub fn set_trusted(&mut self, trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) {
        self.trusted = Some(Arc::new(trusted));
    }

    /// Returns the caller's address: the address of the connection, or the one that trusted proxies report.
    ///
    /// Returns `None` if a trusted proxy reports an entry that is not an address (`unknown`, an obfuscated identifier), if the entry is
    /// malformed, or if the headers disagree: the proxy's own address must not represent its clients.
    #[must_use]
    pub fn caller(&self, connection: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let connection = connection.to_canonical();
        let Some(trusted) = &self.trusted else { return Some(connection) };
        let by_list = || walk(connection, trusted.as_ref(), list_entries(headers));
        let by_forwarded = || walk(connection, trusted.as_ref(), forwarded::entries(headers));
        match self.header {
            Some(ForwardingHeader::XForwardedFor) => by_list(),
            Some(ForwardingHeader::Forwarded) => by_forwarded(),
            None if !headers.contains_key(FORWARDED) => by_list(),
            None if !headers.contains_key(&X_FORWARDED_FOR) => by_forwarded(),
            None => by_list().filter(|caller| by_forwarded() == Some(*caller)),
        }
    }
}

/// Returns the first address, from the connection on, that is not a trusted proxy's. An entry is `None` if it is not an address.
fn walk(
    connection: IpAddr,
    trusted: &dyn Fn(IpAddr) -> bool,
    entries: impl Iterator<Item = Option<IpAddr>>,
) -> Option<IpAddr> {
    let mut caller = connection;
    let mut entries = entries.enumerate();
    while trusted(caller) {
        match entries.next() {
            Some((nth, _)) if nth >= MAX_ENTRIES => return None,
            Some((_, entry)) => caller = entry?.to_canonical(),
            None => break,
        }
    }
    Some(caller)
}

/// Returns the entries of `x-forwarded-for`, from right to left. Empty ones are skipped.
fn list_entries(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    entries.filter(|entry| !entry.is_empty()).map(parse)
}

/// Parses an address as proxies write it: bare, with a port, or in brackets.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    bare.parse::<IpAddr>().ok().or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedProxies")
            .field("any", &self.trusted.is_some())
            .field("header", &self.header)
            .finish_non_exhaustive()
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

    #[test]
    fn caller_is_unknown_if_the_headers_disagree() {
        let proxies = TrustedProxies::new(|address| matches!(address, IpAddr::V4(v4) if v4.is_private()));
        let caller = |proxies: &TrustedProxies, list: &str, forwarded: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", list.parse().unwrap());
            headers.insert("forwarded", forwarded.parse().unwrap());
            proxies.caller([10, 0, 0, 1].into(), &headers).map(|caller| caller.to_string())
        };
        let both = |list, forwarded| caller(&proxies, list, forwarded);
        assert_eq!(both("203.0.113.7", "for=203.0.113.7"), Some("203.0.113.7".into()));
        assert_eq!(both("203.0.113.7", "for=10.0.0.9"), None);
        assert_eq!(both("10.0.0.9", "for=203.0.113.7"), None);
        assert_eq!(both("203.0.113.7", "by=x"), None);
        let one = |header| proxies.clone().with_header(header);
        let (list, forwarded) = (one(ForwardingHeader::XForwardedFor), one(ForwardingHeader::Forwarded));
        assert_eq!(caller(&list, "203.0.113.7", "for=10.0.0.9"), Some("203.0.113.7".into()));
        assert_eq!(caller(&forwarded, "10.0.0.9", "for=203.0.113.7"), Some("203.0.113.7".into()));
    }

    #[test]
    fn chain_beyond_the_limit_is_unknown() {
        let everyone = TrustedProxies::new(|_| true);
        for (count, known) in [(MAX_ENTRIES, true), (MAX_ENTRIES + 1, false)] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", vec!["10.0.0.1"; count].join(",").parse().unwrap());
            assert_eq!(everyone.caller([10, 0, 0, 1].into(), &headers).is_some(), known, "{count}");
        }
    }
}
