//! Sends and receives messages as a service does by hand around the SDK.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_sqs::{operation::send_message::SendMessageInput, types::MessageAttributeValue};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator},
    trace::{Link, SpanBuilder, SpanContext, SpanKind, TraceContextExt, Tracer},
};
use opentelemetry_sdk::trace::SdkTracer;
use rdkafka::{
    Timestamp,
    message::{BorrowedHeaders, Header, Headers, Message as _, OwnedHeaders},
};

use super::{QUEUE_URL, attribute, delivery, kafka_headers, kafka_message, properties, send_input, sqs_message};
use crate::{
    cases::{Broker, Case, Input},
    measure::{Operation as Measured, Prepared},
    telemetry,
};

pub(super) struct Hand {
    tracer: SdkTracer,
    propagator: TextMapCompositePropagator,
    /// The process span of each delivery, the parent of the span that settles it.
    processed: Mutex<HashMap<(String, u64), SpanContext>>,
}

struct KafkaWriter<'a>(&'a mut Option<OwnedHeaders>);

impl Injector for KafkaWriter<'_> {
    fn set(&mut self, key: &str, value: String) {
        let headers = self.0.take().unwrap_or_default();
        *self.0 = Some(headers.insert(Header { key, value: Some(&value) }));
    }
}

struct KafkaReader<'a>(&'a BorrowedHeaders);

impl Extractor for KafkaReader<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let header = self.0.iter().find(|header| header.key == key)?;
        std::str::from_utf8(header.value?).ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|header| header.key).collect()
    }
}

struct TableWriter<'a>(&'a mut FieldTable);

impl Injector for TableWriter<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.into(), AMQPValue::LongString(value.into()));
    }
}

struct TableReader<'a>(&'a FieldTable);

impl Extractor for TableReader<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match self.0.inner().get(key)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.0.inner().keys().map(|key| key.as_str()).collect()
    }
}

type Attributes = HashMap<String, MessageAttributeValue>;

struct AttributeWriter<'a>(&'a mut Attributes);

impl Injector for AttributeWriter<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), attribute(&value));
    }
}

struct AttributeReader<'a>(Option<&'a Attributes>);

impl Extractor for AttributeReader<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0?.get(key)?.string_value()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }
}

/// The attributes of a span that sends to or processes from `orders`, as many as ours has.
fn described(broker: Broker, name: &'static str, kind: &'static str) -> Vec<KeyValue> {
    let (system, destination) = match broker {
        Broker::Kafka => ("kafka", "orders"),
        Broker::Amqp => ("rabbitmq", "shop"),
        Broker::Sqs => ("aws_sqs", "orders"),
    };
    let mut attributes = Vec::with_capacity(10);
    attributes.push(KeyValue::new("messaging.system", system));
    attributes.push(KeyValue::new("messaging.operation.name", name));
    attributes.push(KeyValue::new("messaging.operation.type", kind));
    attributes.push(KeyValue::new("messaging.destination.name", destination.to_owned()));
    match broker {
        Broker::Kafka if name == "process" => {
            attributes.push(KeyValue::new("messaging.destination.partition.id", "3".to_owned()));
            attributes.push(KeyValue::new("messaging.kafka.offset", 42));
        }
        Broker::Kafka => {}
        Broker::Amqp => {
            attributes.push(KeyValue::new("messaging.rabbitmq.destination.routing_key", "orders".to_owned()));
            if name == "process" {
                attributes.push(KeyValue::new("messaging.rabbitmq.message.delivery_tag", 1));
            }
        }
        Broker::Sqs => {
            attributes.push(KeyValue::new("aws.sqs.queue.url", QUEUE_URL.to_owned()));
            attributes.push(KeyValue::new("server.address", "sqs.eu-central-1.amazonaws.com".to_owned()));
            attributes.push(KeyValue::new("server.port", 80));
            if name == "process" {
                attributes.push(KeyValue::new("messaging.message.id", "f6b4".to_owned()));
            }
        }
    }
    attributes
}

impl Hand {
    pub(super) fn new() -> Self {
        Self { tracer: telemetry::tracer(), propagator: telemetry::propagator(), processed: Mutex::default() }
    }

    fn send(&self, broker: Broker, spans: bool, inject: impl FnOnce(&TextMapCompositePropagator, &Context)) {
        if !spans {
            return Context::map_current(|context| inject(&self.propagator, context));
        }
        let builder = SpanBuilder::from_name("send orders")
            .with_kind(SpanKind::Producer)
            .with_attributes(described(broker, "send", "send"));
        let span = self.tracer.build_with_context(builder, &Context::current());
        let context = Context::current_with_span(span);
        inject(&self.propagator, &context);
        context.span().end();
    }

    /// Extracts, and runs a handler that returns at once in a span.
    fn process(&self, broker: Broker, spans: bool, message: &dyn Extractor, age: Option<f64>) -> usize {
        let parent = self.propagator.extract(message);
        if !spans {
            return usize::from(parent.has_active_span());
        }
        let mut attributes = described(broker, "process", "process");
        attributes.extend(age.map(|age| KeyValue::new("propagation.message.age", age)));
        let mut builder =
            SpanBuilder::from_name("process orders").with_kind(SpanKind::Consumer).with_attributes(attributes);
        let creation = parent.span().span_context().clone();
        if creation.is_valid() {
            builder = builder.with_links(vec![Link::with_context(creation)]);
        }
        let span = self.tracer.build_with_context(builder, &parent);
        let context = parent.with_span(span);
        let (queue, delivery) = ("orders".to_owned(), std::hint::black_box(42));
        let process = context.span().span_context().clone();
        self.processed.lock().expect("no panic").insert((queue, delivery), process);
        let attached = context.clone().attach();
        let handled = std::hint::black_box(1);
        drop(attached);
        context.span().end();
        handled
    }
}

/// The seconds since a message was created.
fn age(created: Timestamp) -> Option<f64> {
    let created = Duration::from_millis(u64::try_from(created.to_millis()?).ok()?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(now.saturating_sub(created).as_secs_f64())
}

pub(super) fn send(broker: Broker, hand: Hand, spans: bool) -> Box<dyn Measured> {
    match broker {
        Broker::Kafka => {
            let prepare = |next: &mut Option<OwnedHeaders>| *next = Some(kafka_headers(Input::Nothing));
            let run = move |headers: &mut Option<OwnedHeaders>| {
                hand.send(broker, spans, |propagator, context| {
                    propagator.inject_context(context, &mut KafkaWriter(headers));
                });
                headers.as_ref().map_or(0, |headers| headers.count())
            };
            Box::new(Prepared { state: None, prepare, run })
        }
        Broker::Amqp => {
            let prepare = |next: &mut BasicProperties| *next = properties(Input::Nothing);
            let run = move |properties: &mut BasicProperties| {
                let mut table = properties.headers().clone().unwrap_or_default();
                hand.send(broker, spans, |propagator, context| {
                    propagator.inject_context(context, &mut TableWriter(&mut table));
                });
                let written = table.inner().len();
                *properties = std::mem::take(properties).with_headers(table);
                written
            };
            Box::new(Prepared { state: BasicProperties::default(), prepare, run })
        }
        Broker::Sqs => {
            let prepare = |next: &mut SendMessageInput| *next = send_input();
            let run = move |input: &mut SendMessageInput| {
                let attributes = input.message_attributes.get_or_insert_default();
                hand.send(broker, spans, |propagator, context| {
                    propagator.inject_context(context, &mut AttributeWriter(attributes));
                });
                attributes.len()
            };
            Box::new(Prepared { state: send_input(), prepare, run })
        }
    }
}

pub(super) fn process(case: &Case, broker: Broker, hand: Hand, spans: bool) -> Box<dyn Measured> {
    match broker {
        Broker::Kafka => {
            let message = kafka_message(case.input);
            Box::new(move || {
                let Some(headers) = message.headers() else { return 0 };
                let age = if spans { age(message.timestamp()) } else { None };
                hand.process(broker, spans, &KafkaReader(headers.as_borrowed()), age)
            })
        }
        Broker::Amqp => {
            let delivery = delivery(case.input);
            Box::new(move || {
                let Some(table) = delivery.properties.headers() else { return 0 };
                hand.process(broker, spans, &TableReader(table), None)
            })
        }
        Broker::Sqs => {
            let message = sqs_message(case.input);
            Box::new(move || hand.process(broker, spans, &AttributeReader(message.message_attributes.as_ref()), None))
        }
    }
}
