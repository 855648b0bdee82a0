use std::net::{IpAddr, SocketAddr};

/// The remote address of a connection, as a request extension. Policy rules with `address:…` match it, and spans have it as
/// `network.peer.address` and `network.peer.port` where
/// [`with_network_peer`](crate::ServerPropagationLayer::with_network_peer) is set.
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
