//! As much of an HTTP client as the readers need.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::BackendError;

/// The read time-out of a backend.
const PATIENCE: Duration = Duration::from_secs(20);

/// The largest answer, in bytes.
const LARGEST: usize = 256 * 1024 * 1024;

/// One backend, asked over a new connection each time.
#[derive(Debug, Clone)]
pub(super) struct Client {
    host: String,
    port: u16,
    base: String,
}

impl Client {
    pub(super) fn new(address: &str) -> Result<Self, BackendError> {
        let refuse = || BackendError::Address(address.chars().take(200).collect());
        let uri: Uri = address.parse().map_err(|_| refuse())?;
        let authority =
            uri.authority().filter(|authority| uri.scheme_str() == Some("http") && !authority.as_str().contains('@'));
        let host = authority.ok_or_else(refuse)?.host();
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Bytes, BackendError> {
        self.ask(Method::GET, path, String::new()).await
    }

    pub(super) async fn post(&self, path: &str, json: String) -> Result<(), BackendError> {
        self.ask(Method::POST, path, json).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str, json: String) -> Result<Bytes, BackendError> {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(method, path, json)).await;
        let (status, body) =
            answer.map_err(|_| BackendError::Unreachable(format!("nothing within {PATIENCE:?}")))??;
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::NOT_FOUND => Err(BackendError::NotFound),
            status => {
                let text = String::from_utf8_lossy(&body).chars().take(400).collect();
                Err(BackendError::Refused(status.as_u16(), text))
            }
        }
    }

    async fn exchange(&self, method: Method, path: &str, json: String) -> Result<(StatusCode, Bytes), BackendError> {
        let failed = |error: &dyn std::error::Error| BackendError::Unreachable(error.to_string());
        // A bracketed IPv6 address is an address to a URL, and a name to a resolver.
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, self.port)).await.map_err(|error| failed(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(json)))
            .map_err(|error| failed(&error))?;
        let conversation = async {
            let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            Ok((status, body.map_err(|error| BackendError::Unreachable(error.to_string()))?.to_bytes()))
        };
        tokio::pin!(conversation);
        // The connection must be driven beside the conversation; it may end first, as after `Connection: close`.
        tokio::pin!(connection);
        tokio::select! {
            answer = &mut conversation => answer,
            _ = &mut connection => conversation.await,
        }
    }
}
