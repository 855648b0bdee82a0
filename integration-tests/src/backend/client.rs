//! The HTTP client of the backends.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as HttpClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

use super::{BackendError, Endpoint};

/// The time limit of one exchange.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum length of a response, in bytes.
const MAX_BODY: usize = 256 * 1024 * 1024;

/// A client of one backend. Opens a new connection for each request.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Endpoint,
}

impl Client {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, BackendError> {
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls(endpoint)?).https_or_http().enable_http1().build();
        let http = HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { http, endpoint: endpoint.clone() })
    }

    /// Returns the body of a successful response.
    pub(super) async fn get(&self, path: &str) -> Result<Bytes, BackendError> {
        self.exchange(Method::GET, path, String::new()).await
    }

    pub(super) async fn post(&self, path: &str, json: String) -> Result<(), BackendError> {
        self.exchange(Method::POST, path, json).await.map(drop)
    }

    async fn exchange(&self, method: Method, path: &str, json: String) -> Result<Bytes, BackendError> {
        let response = tokio::time::timeout(TIMEOUT, self.send(method, path, json)).await;
        let (status, location, body) =
            response.map_err(|_| BackendError::Unreachable(format!("no response within {TIMEOUT:?}")))??;
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::NOT_FOUND => Err(BackendError::NotFound),
            status if status.is_redirection() => {
                let location = location.chars().take(200).collect::<String>();
                Err(BackendError::Refused(
                    status.as_u16(),
                    format!("redirects are not followed, this one leads to {location:?}"),
                ))
            }
            status => {
                let text = String::from_utf8_lossy(&body).chars().take(400).collect();
                Err(BackendError::Refused(status.as_u16(), text))
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        json: String,
    ) -> Result<(StatusCode, String, Bytes), BackendError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.endpoint.base));
        if let Some(headers) = request.headers_mut() {
            headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
            if !json.is_empty() {
                headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
            }
            headers.extend(self.endpoint.headers.clone());
        }
        let request = request.body(Full::new(Bytes::from(json))).map_err(|error| unreachable(&error))?;
        let response = self.http.request(request).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let location = response
            .headers()
            .get(header::LOCATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|error| unreachable(&*error))?.to_bytes();
        Ok((status, location.unwrap_or_default(), body))
    }
}

/// The certificate authorities of the machine, which are read only for `https://`, and those of the endpoint.
fn tls(endpoint: &Endpoint) -> Result<ClientConfig, BackendError> {
    let mut roots = RootCertStore::empty();
    if endpoint.https {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in &endpoint.authorities {
            let added = roots.add(certificate.clone());
            added.map_err(|error| BackendError::Certificate(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(BackendError::Certificate(
                "this machine has no certificate authorities: install `ca-certificates`, or pass a file of them"
                    .to_owned(),
            ));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| BackendError::Certificate(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Joins an error with its sources: hyper's own text is `client error (Connect)` alone.
fn unreachable(error: &(dyn Error + 'static)) -> BackendError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    BackendError::Unreachable(text)
}
