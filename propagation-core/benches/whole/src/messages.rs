//! Messages: three headers of the user's own beside the context.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_sqs::{
    operation::send_message::{SendMessageInput, SendMessageOutput},
    types::{Message, MessageAttributeValue},
};
use aws_smithy_runtime_api::client::{
    interceptors::{
        Intercept,
        context::{
            BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextRef, Input as SdkInput,
            InterceptorContext, Output,
        },
    },
    runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
};
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable},
};
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator},
    trace::{Link, SpanBuilder, SpanContext, SpanKind, TraceContextExt, Tracer},
};
use opentelemetry_sdk::trace::SdkTracer;
use propagation_amqp::{DeliveryExt, FrameLimit, PropertiesExt};
use propagation_core::{Outcome, PropagationContext, Propagator};
use propagation_kafka::{MessageExt as _, OwnedHeadersExt as _};
use propagation_sqs::{MessageExt as _, OutgoingExt, SqsInterceptor};
use rdkafka::{
    Timestamp,
    message::{BorrowedHeaders, Header, Headers, Message as _, OwnedHeaders, OwnedMessage},
    producer::FutureRecord,
};

use crate::{
    cases::{Broker, Case, Input, Operation},
    input,
    measure::{Operation as Measured, Prepared},
    telemetry,
};

const OWN: [(&str, &str); 3] = [("event-type", "order.placed"), ("schema", "v3"), ("source", "shop")];
const QUEUE_URL: &str = "http://sqs.eu-central-1.amazonaws.com:80/123456789012/orders";

pub fn operation(case: &Case, side: &str, propagator: &Propagator) -> Box<dyn Measured> {
    let hand = || Hand { tracer: telemetry::tracer(), propagator: telemetry::propagator(), processed: Mutex::default() };
    match (case.operation, side) {
        (Operation::Send(broker), "ours") => ours_send(broker, propagator),
        (Operation::Process(broker), "ours") => ours_process(case, broker, propagator),
        (Operation::Inject(broker), "ours") => ours_inject(broker, propagator),
        (Operation::Extract(broker), "ours") => ours_extract(case, broker, propagator),
        (Operation::Send(broker) | Operation::Inject(broker), "by-hand") => {
            let spans = matches!(case.operation, Operation::Send(_));
            hand_send(broker, hand(), spans)
        }
        (Operation::Process(broker) | Operation::Extract(broker), "by-hand") => {
            let spans = matches!(case.operation, Operation::Process(_));
            hand_process(case, broker, hand(), spans)
        }
        (_, "none") => Box::new(|| 0),
        _ => panic!("no such side: {side}"),
    }
}

// --- the messages ---------------------------------------------------------------------------------------------------

fn kafka_headers(fields: Input) -> OwnedHeaders {
    let own = OWN.iter().map(|(name, value)| (*name, (*value).to_owned()));
    own.chain(input::fields(fields)).fold(OwnedHeaders::new(), |headers, (name, value)| {
        headers.insert(Header { key: name, value: Some(&value) })
    })
}

fn properties(fields: Input) -> BasicProperties {
    let mut table = FieldTable::default();
    let own = OWN.iter().map(|(name, value)| (*name, (*value).to_owned()));
    for (name, value) in own.chain(input::fields(fields)) {
        table.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    BasicProperties::default().with_headers(table)
}

fn attribute(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().expect("a legal attribute")
}

fn send_input() -> SendMessageInput {
    let builder = SendMessageInput::builder().queue_url(QUEUE_URL).message_body("{}");
    let builder = OWN.iter().fold(builder, |builder, (name, value)| builder.message_attributes(*name, attribute(value)));
    builder.build().expect("a legal request")
}

fn delivery(fields: Input) -> Delivery {
    let mut delivery = Delivery::mock(1, "shop".into(), "orders".into(), false, b"{}".to_vec());
    delivery.properties = properties(fields);
    delivery
}

fn kafka_message(fields: Input) -> OwnedMessage {
    let headers = Some(kafka_headers(fields));
    let now = Timestamp::now();
    OwnedMessage::new(Some(b"{}".to_vec()), Some(b"4711".to_vec()), "orders".to_owned(), now, 3, 42, headers)
}

fn sqs_message(fields: Input) -> Message {
    let own = OWN.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let builder = Message::builder().message_id("f6b4").receipt_handle("handle").body("{}");
    let attributes = own.chain(input::fields(fields));
    attributes.fold(builder, |builder, (name, value)| builder.message_attributes(name, attribute(&value))).build()
}

// --- ours -----------------------------------------------------------------------------------------------------------

type Record = FutureRecord<'static, str, str>;

fn ours_send(broker: Broker, propagator: &Propagator) -> Box<dyn Measured> {
    match broker {
        Broker::Kafka => {
            let producer = propagation_kafka::ProducerPropagation::new(propagator.clone());
            let prepare = |next: &mut Record| next.headers = Some(kafka_headers(Input::Nothing));
            let run = move |record: &mut Record| {
                producer.prepare(record).hop.end(&Outcome::Unset);
                record.headers.as_ref().map_or(0, |headers| headers.count())
            };
            Box::new(Prepared { state: FutureRecord::to("orders").payload("{}").key("4711"), prepare, run })
        }
        Broker::Amqp => {
            let producer = propagation_amqp::ProducerPropagation::new(propagator.clone(), FrameLimit::DEFAULT);
            let prepare = |next: &mut BasicProperties| *next = properties(Input::Nothing);
            let run = move |properties: &mut BasicProperties| {
                producer.prepare("shop", "orders", properties).hop.end(&Outcome::Unset);
                properties.headers().as_ref().map_or(0, |table| table.inner().len())
            };
            Box::new(Prepared { state: BasicProperties::default(), prepare, run })
        }
        Broker::Sqs => {
            let interceptor = SqsInterceptor::new(propagator.clone());
            let components = RuntimeComponentsBuilder::for_tests().build().expect("components");
            let prepare = |next: &mut Option<Call>| *next = Some(Call::new());
            let run = move |next: &mut Option<Call>| next.as_mut().map_or(0, |call| call.run(&interceptor, &components));
            Box::new(Prepared { state: None, prepare, run })
        }
    }
}

/// One call of an SQS client, as far as the interceptor sees it.
struct Call {
    context: InterceptorContext,
    config: ConfigBag,
}

impl Call {
    fn new() -> Self {
        let mut context = InterceptorContext::new(SdkInput::erase(send_input()));
        context.set_output_or_error(Ok(Output::erase(SendMessageOutput::builder().build())));
        Self { context, config: ConfigBag::of_layers([Layer::new("call")]) }
    }

    fn run(&mut self, interceptor: &SqsInterceptor, components: &RuntimeComponents) -> usize {
        let mut before = BeforeSerializationInterceptorContextMut::from(&mut self.context);
        interceptor.modify_before_serialization(&mut before, components, &mut self.config).expect("no error");
        let input = before.input().downcast_ref::<SendMessageInput>();
        let written = input.and_then(|input| input.message_attributes()).map_or(0, |attributes| attributes.len());
        let after = FinalizerInterceptorContextRef::from(&self.context);
        interceptor.read_after_execution(&after, components, &mut self.config).expect("no error");
        written
    }
}

fn ours_inject(broker: Broker, propagator: &Propagator) -> Box<dyn Measured> {
    let propagator = propagator.clone();
    match broker {
        Broker::Kafka => {
            let prepare = |headers: &mut Option<OwnedHeaders>| *headers = Some(kafka_headers(Input::Nothing));
            let run = move |headers: &mut Option<OwnedHeaders>| {
                let _ = headers.inject(&propagator, "orders", &propagator.current());
                headers.as_ref().map_or(0, |headers| headers.count())
            };
            Box::new(Prepared { state: None, prepare, run })
        }
        Broker::Amqp => {
            let prepare = |next: &mut BasicProperties| *next = properties(Input::Nothing);
            let run = move |properties: &mut BasicProperties| {
                let _ = properties.inject(&propagator, "shop", &propagator.current(), FrameLimit::DEFAULT);
                properties.headers().as_ref().map_or(0, |table| table.inner().len())
            };
            Box::new(Prepared { state: BasicProperties::default(), prepare, run })
        }
        Broker::Sqs => {
            let prepare = |next: &mut SendMessageInput| *next = send_input();
            let run = move |input: &mut SendMessageInput| {
                let _ = input.inject(&propagator, "orders", &propagator.current());
                input.message_attributes.as_ref().map_or(0, HashMap::len)
            };
            Box::new(Prepared { state: send_input(), prepare, run })
        }
    }
}

fn ours_process(case: &Case, broker: Broker, propagator: &Propagator) -> Box<dyn Measured> {
    let handler = || Ok::<usize, std::fmt::Error>(1);
    match broker {
        Broker::Kafka => {
            let consumer = propagation_kafka::ConsumerPropagation::new(propagator.clone());
            let message = kafka_message(case.input);
            Box::new(move || consumer.process_sync(&message, handler).unwrap_or(0))
        }
        Broker::Amqp => {
            let consumer = propagation_amqp::ConsumerPropagation::new(propagator.clone(), "orders");
            let delivery = delivery(case.input);
            Box::new(move || consumer.process_sync(&delivery, handler).unwrap_or(0))
        }
        Broker::Sqs => {
            let consumer = propagation_sqs::ConsumerPropagation::new(propagator.clone(), QUEUE_URL);
            let message = sqs_message(case.input);
            Box::new(move || consumer.process_sync(&message, handler).unwrap_or(0))
        }
    }
}

fn ours_extract(case: &Case, broker: Broker, propagator: &Propagator) -> Box<dyn Measured> {
    let propagator = propagator.clone();
    let size = |context: &PropagationContext| context.baggage.len() + usize::from(context.trace.has_ids());
    match broker {
        Broker::Kafka => {
            let message = kafka_message(case.input);
            Box::new(move || size(&message.extract(&propagator).context))
        }
        Broker::Amqp => {
            let delivery = delivery(case.input);
            Box::new(move || size(&delivery.extract(&propagator, "orders").context))
        }
        Broker::Sqs => {
            let message = sqs_message(case.input);
            Box::new(move || size(&message.extract(&propagator, "orders").context))
        }
    }
}

// --- by hand --------------------------------------------------------------------------------------------------------

struct Hand {
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

fn hand_send(broker: Broker, hand: Hand, spans: bool) -> Box<dyn Measured> {
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

fn hand_process(case: &Case, broker: Broker, hand: Hand, spans: bool) -> Box<dyn Measured> {
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
