//! The servers.

use std::{error::Error, future::pending, time::Duration};

use axum::{Router, routing::get};
use clap::ValueEnum;
use http::header::{HeaderName, REFERER};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
};
use propagation_core::{Policy, Propagator};
use propagation_http::ServerPropagationLayer;
use propagation_opentelemetry::OpenTelemetryBridge;
use tokio::{io::AsyncReadExt, net::TcpListener};
use tower::Service;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Bare,
    Layer,
    Hanging,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Layer => "layer",
            Self::Hanging => "hanging",
        }
    }
}

/// Takes every batch, or never returns from the first one.
#[derive(Debug)]
struct Exporter {
    hangs: bool,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        if self.hangs {
            pending::<()>().await;
        }
        drop(batch);
        Ok(())
    }
}

/// Serves on a port of the loopback interface, and prints it, until standard input ends.
pub(crate) async fn serve(kind: Kind) -> Result<(), Box<dyn Error>> {
    let processor = BatchSpanProcessor::builder(Exporter { hangs: kind == Kind::Hanging }).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let mut routes = Router::new().route("/orders/{id}", get(|| async { "ok" }));
    if kind != Kind::Bare {
        let bridge = OpenTelemetryBridge::new(provider.tracer("hostile"));
        let policy = Policy::builder().profile("internal")?.build()?;
        let propagator = Propagator::builder().policy(policy).bridge(bridge).build();
        let recorded = [REFERER, HeaderName::from_static("x-request-id")];
        let layer = ServerPropagationLayer::new(propagator).with_user_agent(true).record_request_headers(recorded);
        routes = routes.layer(layer);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    tokio::spawn(accept(listener, routes));
    // The parent's end closes it, however that ends.
    let _ = tokio::io::stdin().read(&mut [0]).await;
    Ok(())
}

async fn accept(listener: TcpListener, routes: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let routes = routes.clone();
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            // Room for hosts of 300 kB.
            server.http1().max_headers(1024).max_buf_size(1 << 20);
            let service = service_fn(move |request| routes.clone().call(request));
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
