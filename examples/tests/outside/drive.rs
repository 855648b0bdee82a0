//! Passes a text through every adapter, in each place that a stranger chooses.

use std::{convert::Infallible, io};

use aws_sdk_sqs::types::Message;
use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header::REFERER};
use lapin::{BasicProperties, message::Delivery};
use propagation_core::{
    Exception, ExternalText, Hop, Outcome, PropagationContext, Propagator, SpanKind, TraceContext, TraceState,
};
use rdkafka::{
    Timestamp,
    message::{Header, OwnedHeaders, OwnedMessage},
    producer::FutureRecord,
};
use tower::{Layer, ServiceExt, service_fn};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) async fn everything(propagator: &Propagator, text: &str) {
    spans(propagator, text);
    http_server(propagator, text).await;
    http_client(propagator, text).await;
    grpc(propagator, text).await;
    kafka(propagator, text).await;
    amqp(propagator, text).await;
    sqs(propagator, text).await;
}

/// The text as a part of a URL.
fn encoded(text: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'@' | b'/' | b'&' | b'=');
    let bytes =
        text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    let mut encoded: String = bytes.collect();
    encoded.truncate(60_000);
    encoded
}

/// The text as a header, without the bytes that HTTP rejects.
fn value(text: &str) -> HeaderValue {
    let bytes: Vec<u8> = text.bytes().filter(|byte| *byte >= b' ' && *byte != 0x7f).collect();
    HeaderValue::from_bytes(&bytes).unwrap()
}

/// The text as a host of a URL.
fn host(text: &str) -> String {
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_' | '@');
    text.chars().filter(plain).take(40_000).collect()
}

/// As much of the text as fits a short string of AMQP.
fn short(text: &str) -> String {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn tracestate(text: &str) -> String {
    let member: String =
        text.chars().filter(|letter| letter.is_ascii_graphic() && !matches!(letter, ',' | '=')).collect();
    format!("vendor={}", &member[..member.len().min(200)])
}

fn baggage(text: &str) -> String {
    format!("shown={}", encoded(text).replace(['&', '='], "-"))
}

fn raise(text: &str) {
    Exception::new(text.to_owned()).with_message(text.to_owned()).with_stacktrace(text.to_owned()).record_exception();
}

fn spans(propagator: &Propagator, text: &str) {
    let hop = Hop::local(SpanKind::Internal, PropagationContext::EMPTY).named(format!("send {text}"));
    let state = TraceState::parse(tracestate(text).as_bytes()).unwrap();
    let linked = TraceContext::new(PARENT.parse().unwrap()).with_state(state);
    let span = propagator.start(hop.with("bytes", ExternalText::from_bytes(text.as_bytes())).linked(vec![linked]));
    span.rename(text.to_owned());
    let exception = Exception::new(text.to_owned()).with_message(text.to_owned()).with_stacktrace(text.to_owned());
    span.end(&Outcome::raised(exception).described(text.to_owned()));
}

async fn http_server(propagator: &Propagator, text: &str) {
    let recorded = || [REFERER, HeaderName::from_static("x-request-id")];
    let layer = propagation_http::ServerPropagationLayer::new(propagator.clone())
        .with_user_agent(true)
        .record_request_headers(recorded())
        .record_response_headers([HeaderName::from_static("x-answer")]);
    let service = layer.layer(service_fn(move |_: Request<Body>| async move {
        raise(text);
        let answer = Response::builder().status(500).header("x-answer", value(text)).body(Body::empty());
        Ok::<_, Infallible>(answer.unwrap())
    }));
    let part = encoded(text);
    let method: String = text.chars().filter(char::is_ascii_alphanumeric).take(10_000).collect();
    for target in [
        format!("/{part}"),
        format!("/?{part}"),
        format!("/?k={part}&{part}=1"),
        format!("//{part}//"),
        format!("http://{}/{part}?{part}", host(text)),
        format!("http://user:{}@shop/", host(text)),
    ] {
        let Ok(uri) = target.parse::<Uri>() else { continue };
        for method in [Method::GET, Method::from_bytes(method.to_ascii_lowercase().as_bytes()).unwrap_or(Method::PUT)] {
            let mut request = Request::new(Body::empty());
            (*request.method_mut(), *request.uri_mut()) = (method, uri.clone());
            for name in
                ["host", "user-agent", "referer", "x-request-id", "x-forwarded-host", "x-forwarded-for", "forwarded"]
            {
                request.headers_mut().append(name, value(text));
            }
            request.headers_mut().append("x-request-id", value(text));
            request.headers_mut().insert("traceparent", PARENT.parse().unwrap());
            request.headers_mut().insert("tracestate", value(&tracestate(text)));
            request.headers_mut().insert("baggage", value(&baggage(text)));
            drop(service.clone().oneshot(request).await.unwrap());
        }
    }
}

async fn http_client(propagator: &Propagator, text: &str) {
    let layer = propagation_http::ClientPropagationLayer::new(propagator.clone())
        .record_request_headers([HeaderName::from_static("x-request-id")])
        .record_response_headers([HeaderName::from_static("x-answer")]);
    let answers = layer.layer(service_fn(move |_: Request<Body>| async move {
        Ok::<_, io::Error>(Response::builder().status(404).header("x-answer", value(text)).body(Body::empty()).unwrap())
    }));
    let fails = layer.layer(service_fn(move |_: Request<Body>| async move {
        Err::<Response<Body>, _>(io::Error::other(text.to_owned()))
    }));
    let part = encoded(text);
    for target in [
        format!("http://shop/{part}?{part}"),
        format!("http://{}/", host(text)),
        format!("http://{}@shop/?to={part}", host(text)),
    ] {
        let Ok(uri) = target.parse::<Uri>() else { continue };
        let request = || Request::get(uri.clone()).header("x-request-id", value(text)).body(Body::empty()).unwrap();
        drop(answers.clone().oneshot(request()).await);
        drop(fails.clone().oneshot(request()).await);
    }
}

async fn grpc(propagator: &Propagator, text: &str) {
    let layer = propagation_grpc::ServerPropagationLayer::new(propagator.clone());
    let answer = move |_: Request<Body>| async move {
        let answer = Response::builder().header("content-type", "application/grpc").header("grpc-status", "13");
        Ok::<_, Infallible>(answer.header("grpc-message", value(text)).body(Body::empty()).unwrap())
    };
    let server = layer.layer(service_fn(answer));
    let client = propagation_grpc::ClientPropagationLayer::new(propagator.clone()).layer(service_fn(answer));
    let part = encoded(text).replace(['&', '='], "-");
    for path in [
        format!("/{part}"),
        format!("/evil.Service/{part}"),
        format!("/{part}/Call"),
        format!("//{part}"),
        "/".to_owned(),
        "//".to_owned(),
    ] {
        let request = || {
            let request = Request::post(&path).header("content-type", "application/grpc").header("host", value(text));
            request.header("user-agent", value(text)).header("tracestate", value(text)).body(Body::empty()).unwrap()
        };
        drop(server.clone().oneshot(request()).await);
        drop(client.clone().oneshot(request()).await);
    }
}

async fn kafka(propagator: &Propagator, text: &str) {
    let state = tracestate(text);
    let header = |key, value| Header { key, value: Some(value) };
    let headers = OwnedHeaders::new()
        .insert(header("traceparent", PARENT))
        .insert(header("tracestate", state.as_str()))
        .insert(header("baggage", baggage(text).as_str()));
    let key = Some(text.as_bytes().to_vec());
    let message = OwnedMessage::new(None, key, text.to_owned(), Timestamp::NotAvailable, 3, 42, Some(headers));
    let consumer = propagation_kafka::ConsumerPropagation::new(propagator.clone()).group("g").with_message_key(true);
    let _ = consumer
        .process(&message, async {
            raise(text);
            Err::<(), _>(io::Error::other(text.to_owned()))
        })
        .await;
    drop(consumer.receive(std::slice::from_ref(&message)));
    let producer = propagation_kafka::ProducerPropagation::new(propagator.clone()).with_message_key(true);
    let mut record = FutureRecord::to(text).key(text).payload("{}");
    producer.prepare(&mut record).delivered(1, 2);
}

async fn amqp(propagator: &Propagator, text: &str) {
    let short = short(text);
    let consumer = propagation_amqp::ConsumerPropagation::new(propagator.clone(), text);
    for (exchange, key) in [(short.as_str(), short.as_str()), ("", short.as_str()), ("shop", short.as_str())] {
        let mut delivery = Delivery::mock(1, exchange.into(), key.into(), false, Vec::new());
        let properties = BasicProperties::default().with_message_id(short.as_str().into());
        delivery.properties =
            properties.with_correlation_id(short.as_str().into()).with_reply_to(short.as_str().into());
        let _ = consumer
            .process(&delivery, async {
                raise(text);
                Err::<(), _>(io::Error::other(text.to_owned()))
            })
            .await;
        let producer = propagation_amqp::ProducerPropagation::new(propagator.clone(), 131_072_u32);
        drop(producer.prepare(exchange, key, &mut delivery.properties));
    }
}

async fn sqs(propagator: &Propagator, text: &str) {
    let message = Message::builder().message_id(text).receipt_handle(text).body(text).build();
    let part = encoded(text);
    for queue in [
        text.to_owned(),
        format!("https://sqs.eu-west-1.amazonaws.com/1/{part}"),
        format!("https://{}:secret@{}:9324/1/orders", host(text), host(text)),
    ] {
        let consumer = propagation_sqs::ConsumerPropagation::new(propagator.clone(), queue);
        let _ = consumer
            .process(&message, async {
                raise(text);
                Err::<(), _>(io::Error::other(text.to_owned()))
            })
            .await;
    }
}
