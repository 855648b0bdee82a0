//! A sender and a receiver for every transport, over endpoints of this process. Each message is recorded before extraction.

use std::{convert::Infallible, time::Duration};

use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::LOCATION},
    middleware::{self, Next},
    routing::post,
};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use propagation_core::{Baggage, Extract, Peer, PropagationContext, Propagator, StoredContext};
use propagation_http::ReqwestPropagation;
use propagation_testkit::{
    loopback_amqp::LoopbackAmqp,
    loopback_sqs::LoopbackSqs,
    wire::{Wire, WireRecord},
};
use rdkafka::{
    ClientConfig, Message,
    consumer::{Consumer, StreamConsumer},
    message::Headers,
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tonic::{
    service::Routes,
    transport::{Channel as GrpcChannel, Server, server::TcpIncoming},
};
use tower::ServiceBuilder;

use crate::grpc::{Empty, answer, call};

/// The transports; an HTTP client is redirected to another host, too.
pub(crate) const TRANSPORTS: [&str; 7] = ["http", "http, redirected", "grpc", "kafka", "amqp", "sqs", "process"];

/// Longer than anything takes; only so that a broken promise ends a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);
const NAME: &str = "orders";
const SERVICE: &str = "shop.Orders";
const METHOD: &str = "/shop.Orders/Place";

/// The receiving side of the shop.
#[derive(Clone)]
struct Receiver {
    propagator: Propagator,
    wire: Wire,
    done: mpsc::UnboundedSender<()>,
}

impl Receiver {
    /// Returns the received fields, raw and, for baggage, decoded.
    fn saw(&self, transport: &str, message: &str, fields: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let mut record = WireRecord::new("sender", "receiver", transport).of_message(message);
        for (name, value) in fields {
            let baggage = if name == "baggage" { Baggage::parse(&value) } else { Baggage::new() };
            for member in baggage.iter() {
                record = record.field("decoded value", member.value().into_owned());
                let properties = Baggage::parse(member.properties().as_bytes());
                record = properties
                    .iter()
                    .fold(record, |record, property| record.field("decoded property", property.value().into_owned()));
            }
            record = record.field(name, value);
        }
        self.wire.record(record);
    }

    /// Every service's handler: logs one event in the message's context.
    async fn handle(&self) -> Result<(), Infallible> {
        tracing::info!("an order is handled");
        self.done.send(()).ok();
        Ok(())
    }
}

pub(crate) struct Shop {
    receiver: Receiver,
    handled: mpsc::UnboundedReceiver<()>,
    http: (ClientWithMiddleware, String),
    grpc: (GrpcChannel, propagation_grpc::ClientPropagationLayer),
    kafka: (FutureProducer, propagation_kafka::ProducerPropagation),
    amqp: (Channel, propagation_amqp::ProducerPropagation),
    sqs: (aws_sdk_sqs::Client, String),
    consuming: JoinHandle<()>,
    _alive: (MockCluster<'static, DefaultProducerContext>, LoopbackAmqp, LoopbackSqs, Connection),
}

impl Shop {
    pub(crate) async fn open(propagator: &Propagator, wire: &Wire) -> Self {
        let (done, handled) = mpsc::unbounded_channel();
        let receiver = Receiver { propagator: propagator.clone(), wire: wire.clone(), done };
        let (client, propagation) = ReqwestPropagation::with_client(
            propagator.clone(),
            reqwest::Client::builder(),
            reqwest::redirect::Policy::default(),
        )
        .unwrap();
        let http = ClientBuilder::new(client).with(propagation).build();
        let layer = propagation_grpc::ClientPropagationLayer::new(propagator.clone()).peer(SERVICE);
        let (cluster, kafka, consuming) = kafka(&receiver);
        let (broker, connection, channel) = amqp(&receiver).await;
        let (endpoint, client, queue) = sqs(&receiver).await;
        Self {
            handled,
            http: (http, listen_http(&receiver).await),
            grpc: (listen_grpc(&receiver).await, layer),
            kafka: (kafka, propagation_kafka::ProducerPropagation::new(propagator.clone())),
            amqp: (channel, propagation_amqp::ProducerPropagation::new(propagator.clone(), &connection)),
            sqs: (client, queue),
            consuming,
            _alive: (cluster, broker, endpoint, connection),
            receiver,
        }
    }

    /// Sends one message in this context over every transport.
    pub(crate) async fn send(&self, number: usize, context: &PropagationContext) {
        let body = number.to_string();
        let hop = self.receiver.propagator.continue_from(context.clone());
        hop.scope(async {
            let (client, url) = &self.http;
            for path in ["orders", "moved"] {
                let sent = client.post(format!("{url}/{path}")).header("x-number", &body).send().await.unwrap();
                assert_eq!(sent.status(), StatusCode::NO_CONTENT);
            }

            let (channel, layer) = &self.grpc;
            let channel = ServiceBuilder::new().layer(layer.clone()).service(channel.clone());
            let mut request = tonic::Request::new(Empty {});
            request.metadata_mut().insert("x-number", body.parse().unwrap());
            call(channel, METHOD, request).await.unwrap();

            let (producer, propagation) = &self.kafka;
            let record = FutureRecord::to(NAME).key("").payload(&body);
            propagation.send(producer, record, PATIENCE).await.map_err(|(error, _)| error).unwrap();

            let (channel, propagation) = &self.amqp;
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default();
            propagation.publish(channel, "".into(), NAME.into(), options, body.as_bytes(), properties).await.unwrap();

            let (client, queue) = &self.sqs;
            client.send_message().queue_url(queue).message_body(&body).send().await.unwrap();

            let mut stored = StoredContext::new();
            let current = self.receiver.propagator.current();
            self.receiver.propagator.inject(&Peer::process("outbox"), &current, &mut stored);
            let mut fields = Vec::new();
            stored.visit_all(&mut |name, value| fields.push((name.to_owned(), value.as_bytes().to_vec())));
            self.receiver.saw("process", &body, fields);
        })
        .await;
    }

    /// Ends the consumer while its broker is still there: it would wait for one that is gone.
    pub(crate) async fn close(self) {
        self.consuming.abort();
        let _ = self.consuming.await;
    }

    /// Waits until this number of messages has been processed, without stored ones.
    pub(crate) async fn handled(&mut self, sent: usize) {
        for _ in 0..sent * (TRANSPORTS.len() - 1) {
            tokio::time::timeout(PATIENCE, self.handled.recv()).await.expect("every message arrives").unwrap();
        }
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

fn number(headers: &HeaderMap) -> String {
    headers.get("x-number").map_or_else(String::new, |number| String::from_utf8_lossy(number.as_bytes()).into_owned())
}

/// A server that takes orders, and one by another name that orders are sent on to.
async fn listen_http(receiver: &Receiver) -> String {
    let other = serve("http, redirected", "", receiver).await.replace("127.0.0.1", "localhost");
    serve("http", &other, receiver).await
}

async fn serve(transport: &'static str, other: &str, receiver: &Receiver) -> String {
    async fn handle(State(receiver): State<Receiver>) -> StatusCode {
        receiver.handle().await.map_or_else(|never| match never {}, |()| StatusCode::NO_CONTENT)
    }
    let watching = receiver.clone();
    let watch = move |request: Request, next: Next| {
        // On its way to the other host it is only passed on.
        if request.uri().path() == "/orders" {
            watching.saw(transport, &number(request.headers()), fields(request.headers()));
        }
        next.run(request)
    };
    let moved = (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, format!("{other}/orders"))]);
    let routes = Router::new()
        .route("/orders", post(handle))
        .route("/moved", post(move || async move { moved }))
        .route_layer(propagation_http::ServerPropagationLayer::new(receiver.propagator.clone()))
        .route_layer(middleware::from_fn(watch))
        .with_state(receiver.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

async fn listen_grpc(receiver: &Receiver) -> GrpcChannel {
    async fn handle(State(receiver): State<Receiver>, request: Request) -> axum::response::Response {
        answer(request, async move { receiver.handle().await.unwrap_or_else(|never| match never {}) }).await
    }
    let routes = Router::new().route(METHOD, post(handle)).with_state(receiver.clone());
    let watching = receiver.clone();
    let watch = tower::util::MapRequestLayer::new(move |request: http::Request<_>| {
        watching.saw("grpc", &number(request.headers()), fields(request.headers()));
        request
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder()
        .layer(watch)
        .layer(propagation_grpc::ServerPropagationLayer::new(receiver.propagator.clone()))
        .add_routes(Routes::from(routes))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    GrpcChannel::from_shared(url).unwrap().connect_lazy()
}

fn kafka(receiver: &Receiver) -> (MockCluster<'static, DefaultProducerContext>, FutureProducer, JoinHandle<()>) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(NAME, 1, 1).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let producer: FutureProducer = config.clone().set("linger.ms", "0").create().unwrap();
    let consumer: StreamConsumer =
        config.set("group.id", "receivers").set("auto.offset.reset", "earliest").create().unwrap();
    consumer.subscribe(&[NAME]).unwrap();
    let receiver = receiver.clone();
    let propagation = propagation_kafka::ConsumerPropagation::new(receiver.propagator.clone());
    let consuming = tokio::spawn(async move {
        while let Ok(message) = consumer.recv().await {
            let headers = message.headers().into_iter().flat_map(Headers::iter);
            let headers = headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()));
            receiver.saw("kafka", &String::from_utf8_lossy(message.payload().unwrap_or_default()), headers);
            let _ = propagation.process(&message, receiver.handle()).await;
        }
    });
    (cluster, producer, consuming)
}

async fn amqp(receiver: &Receiver) -> (LoopbackAmqp, Connection, Channel) {
    let broker = LoopbackAmqp::start().await.unwrap();
    let connection = Connection::connect(&broker.uri(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.queue_declare(NAME.into(), QueueDeclareOptions::default(), FieldTable::default()).await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut messages =
        channel.basic_consume(NAME.into(), "receiver".into(), options, FieldTable::default()).await.unwrap();
    let receiver = receiver.clone();
    let propagation = propagation_amqp::ConsumerPropagation::new(receiver.propagator.clone(), NAME);
    tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            let headers = message.properties.headers().iter().flat_map(FieldTable::inner);
            let headers = headers.map(|(name, value)| match value {
                AMQPValue::LongString(text) => (name.to_string(), text.as_bytes().to_vec()),
                other => panic!("{other:?}"),
            });
            receiver.saw("amqp", &String::from_utf8_lossy(&message.data), headers);
            let _ = propagation.process(&message, receiver.handle()).await;
        }
    });
    (broker, connection, channel)
}

async fn sqs(receiver: &Receiver) -> (LoopbackSqs, aws_sdk_sqs::Client, String) {
    let endpoint = LoopbackSqs::start().await.unwrap();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint.endpoint_url())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .interceptor(propagation_sqs::SqsInterceptor::new(receiver.propagator.clone()));
    let client = aws_sdk_sqs::Client::from_conf(config.build());
    let queue = client.create_queue().queue_name(NAME).send().await.unwrap().queue_url.unwrap();
    let (receiver, taking, url) = (receiver.clone(), client.clone(), queue.clone());
    let propagation = propagation_sqs::ConsumerPropagation::new(receiver.propagator.clone(), queue.as_str());
    tokio::spawn(async move {
        loop {
            let asked = taking.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(1);
            // Nothing is deleted, and nothing is to come twice.
            let asked = asked.visibility_timeout(600);
            for message in asked.send().await.ok().and_then(|received| received.messages).unwrap_or_default() {
                let attributes = message.message_attributes.iter().flatten();
                let attributes = attributes
                    .map(|(name, value)| (name.clone(), value.string_value.clone().unwrap_or_default().into_bytes()));
                let system = message.attributes.iter().flatten();
                let system = system.map(|(name, value)| (name.as_str().to_owned(), value.clone().into_bytes()));
                let body = message.body.as_deref().unwrap_or_default();
                receiver.saw("sqs", body, attributes.chain(system));
                let _ = propagation.process(&message, receiver.handle()).await;
            }
        }
    });
    (endpoint, client, queue)
}
