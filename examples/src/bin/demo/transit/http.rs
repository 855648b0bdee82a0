//! Stripped on the way to a service that is called: a proxy beside the caller, as meshes have one.

use std::net::SocketAddr;

use http::{Request, Response, Uri};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;

use super::{AbortOnDrop, FIELDS};
use crate::Error;

/// A reverse proxy for HTTP/1.1 and, with prior knowledge, HTTP/2.
pub(crate) struct HttpRelay {
    address: SocketAddr,
    _task: AbortOnDrop,
}

impl HttpRelay {
    /// Passes on to `target` (`host:port`), with HTTP/2 if asked for.
    pub(crate) async fn start(target: String, http2: bool) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let client: Client<HttpConnector, Incoming> =
            Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (client, target) = (client.clone(), target.clone());
                tokio::spawn(async move {
                    let pass = service_fn(|request| pass_on(client.clone(), target.clone(), request));
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), pass).await;
                });
            }
        });
        Ok(Self { address, _task: AbortOnDrop(task) })
    }

    /// The proxy's address, for the caller.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn pass_on(
    client: Client<HttpConnector, Incoming>,
    target: String,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, Error> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::builder().scheme("http").authority(target).path_and_query(path).build()?;
    for name in FIELDS {
        request.headers_mut().remove(name);
    }
    Ok(client.request(request).await?)
}
