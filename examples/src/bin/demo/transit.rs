//! What can happen to headers between two services: these pass messages on and lose the headers.

use std::{net::SocketAddr, time::Duration};

use http::{Request, Response, Uri};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rdkafka::{
    ClientConfig, Message,
    consumer::{Consumer, StreamConsumer},
    producer::{FutureProducer, FutureRecord},
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::Error;

/// What is stripped: every field that could carry the trace.
pub(crate) const FIELDS: [&str; 4] = ["traceparent", "tracestate", "baggage", "b3"];

/// A reverse proxy for HTTP/1.1 and, with prior knowledge, HTTP/2.
pub(crate) struct HttpRelay {
    pub(crate) address: SocketAddr,
    _task: AbortOnDrop,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
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

/// Reads one topic and writes another.
pub(crate) struct KafkaRelay {
    _task: AbortOnDrop,
}

impl KafkaRelay {
    pub(crate) fn start(brokers: &str, from: &str, to: &str) -> Result<Self, Error> {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "relay")
            .set("auto.offset.reset", "earliest")
            .create()?;
        consumer.subscribe(&[from])?;
        let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
        let to = to.to_owned();
        let task = tokio::spawn(async move {
            loop {
                let Ok(message) = consumer.recv().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let record = FutureRecord::to(&to)
                    .key(message.key().unwrap_or_default())
                    .payload(message.payload().unwrap_or_default());
                let _ = producer.send(record, Duration::from_secs(5)).await;
            }
        });
        Ok(Self { _task: AbortOnDrop(task) })
    }
}
