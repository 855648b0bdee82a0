//! Messages: three headers of the user's own beside the context.

mod by_hand;

use std::collections::HashMap;

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
use propagation_amqp::{DeliveryExt, FrameLimit, PropertiesExt};
use propagation_core::{Outcome, PropagationContext, Propagator};
use propagation_kafka::{MessageExt as _, OwnedHeadersExt as _};
use propagation_sqs::{MessageExt as _, OutgoingExt, SqsInterceptor};
use rdkafka::{
    Timestamp,
    message::{Header, Headers as _, OwnedHeaders, OwnedMessage},
    producer::FutureRecord,
};

use self::by_hand::Hand;
use crate::{
    cases::{Broker, Case, Input, Operation},
    input,
    measure::{Operation as Measured, Prepared},
};

const OWN: [(&str, &str); 3] = [("event-type", "order.placed"), ("schema", "v3"), ("source", "shop")];
const QUEUE_URL: &str = "http://sqs.eu-central-1.amazonaws.com:80/123456789012/orders";

pub fn operation(case: &Case, side: &str, propagator: &Propagator) -> Box<dyn Measured> {
    match (case.operation, side) {
        (Operation::Send(broker), "ours") => ours_send(broker, propagator),
        (Operation::Process(broker), "ours") => ours_process(case, broker, propagator),
        (Operation::Inject(broker), "ours") => ours_inject(broker, propagator),
        (Operation::Extract(broker), "ours") => ours_extract(case, broker, propagator),
        (Operation::Send(broker) | Operation::Inject(broker), "by-hand") => {
            let spans = matches!(case.operation, Operation::Send(_));
            by_hand::send(broker, Hand::new(), spans)
        }
        (Operation::Process(broker) | Operation::Extract(broker), "by-hand") => {
            let spans = matches!(case.operation, Operation::Process(_));
            by_hand::process(case, broker, Hand::new(), spans)
        }
        (_, "none") => Box::new(|| 0),
        _ => panic!("no such side: {side}"),
    }
}

// --- the messages ---------------------------------------------------------------------------------------------------

fn kafka_headers(fields: Input) -> OwnedHeaders {
    let own = OWN.iter().map(|(name, value)| (*name, (*value).to_owned()));
    own.chain(input::fields(fields))
        .fold(OwnedHeaders::new(), |headers, (name, value)| headers.insert(Header { key: name, value: Some(&value) }))
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
    let builder =
        OWN.iter().fold(builder, |builder, (name, value)| builder.message_attributes(*name, attribute(value)));
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
            let run =
                move |next: &mut Option<Call>| next.as_mut().map_or(0, |call| call.run(&interceptor, &components));
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
