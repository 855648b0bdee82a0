//! Services with `#[instrument]` in one process, each with its own `service.name`.

use axum::{Router, extract::State, routing::get};
use opentelemetry::trace::TracerProvider;
use propagation_core::Propagator;
use propagation_http::{ReqwestPropagation, ServerPropagationLayer};
use propagation_opentelemetry::TracingBridge;
use propagation_testkit::{
    in_memory::InMemory,
    runtime::ServiceRuntime,
    trace::{SpanKind, service},
};
use reqwest_middleware::ClientWithMiddleware;
use tokio::net::TcpListener;
use tracing::Instrument;
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt};

fn start(memory: &InMemory, name: &str) -> ServiceRuntime {
    let layer = tracing_opentelemetry::layer().with_tracer(memory.provider(name).tracer("app"));
    let subscriber = tracing_subscriber::registry().with(LevelFilter::INFO).with(layer);
    ServiceRuntime::new(name, subscriber).expect("threads")
}

/// Serves a router of a service, and returns its URL.
async fn serve(runtime: &ServiceRuntime, router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let listener = listener.into_std().expect("a socket");
    runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).expect("a socket");
        axum::serve(listener, router).await
    });
    url
}

#[tracing::instrument]
async fn reserve() {
    tokio::task::spawn_blocking(|| ()).await.expect("no panic");
}

#[tracing::instrument(skip_all)]
async fn place(client: ClientWithMiddleware, url: String) {
    let call = async move { client.get(url).send().await.expect("a response") };
    let response = tokio::spawn(call.in_current_span()).await.expect("no panic");
    response.error_for_status().expect("200");
}

#[tokio::test]
async fn instrumented_services_of_one_process_keep_their_names() {
    let memory = InMemory::new();
    let (shop, stock) = (start(&memory, "shop"), start(&memory, "stock"));
    let propagator = Propagator::builder().bridge(TracingBridge::new()).build();

    let router = Router::new().route("/stock", get(reserve));
    let stock_url = serve(&stock, router.layer(ServerPropagationLayer::new(propagator.clone()))).await;
    let client = ReqwestPropagation::with_client(
        propagator.clone(),
        reqwest::Client::builder(),
        reqwest::redirect::Policy::default(),
    );
    let (client, middleware) = client.expect("a client");
    let client = reqwest_middleware::ClientBuilder::new(client).with(middleware).build();
    let call = move |State(client): State<ClientWithMiddleware>| place(client, format!("{stock_url}/stock"));
    let router = Router::new().route("/orders", get(call)).with_state(client);
    let shop_url = serve(&shop, router.layer(ServerPropagationLayer::new(propagator))).await;

    for _ in 0..8 {
        reqwest::get(format!("{shop_url}/orders")).await.expect("a response").error_for_status().expect("200");
    }
    // A server span ends with its body, possibly after the client has received it.
    for _ in 0..400 {
        if memory.graph().len() >= 8 * 5 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let traces = memory.graph().traces();
    assert_eq!(traces.len(), 8);
    for trace in traces {
        trace
            .assert_continuous()
            .assert_count(service("shop"), 3)
            .assert_count(service("stock"), 2)
            .assert_edge(service("shop").kind(SpanKind::Server), service("shop").name("place"))
            .assert_edge(service("shop").kind(SpanKind::Client), service("stock").kind(SpanKind::Server))
            .assert_edge(service("stock").kind(SpanKind::Server), service("stock").name("reserve"));
    }
}
