//! Ten thousand messages through sixteen handlers: each handler sees the context of its own message.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use propagation_amqp::{ConsumerPropagation as AmqpConsumer, ProducerPropagation as AmqpProducer};
use propagation_core::{PropagationContext, Propagator};
use propagation_kafka::{ConsumerPropagation, ProducerPropagation};
use rdkafka::{
    Message,
    consumer::{Consumer, StreamConsumer},
    producer::{FutureProducer, FutureRecord},
};

use crate::{
    Failure, kafka, rabbitmq,
    service::Request,
    shop::{PATIENCE, Shop, TENANT},
};

const MESSAGES: usize = 10_000;
const HANDLERS: usize = 16;

/// The contexts that do not belong to their messages, and the handled messages.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<(Vec<String>, HashSet<String>)>>);

impl Seen {
    /// Compares the current context with the message, whose body names its trace and tenant.
    async fn check(&self, propagator: &Propagator, body: &[u8]) {
        let shown = |context: &PropagationContext| {
            let trace = context.trace.trace_id().map(|id| id.to_string()).unwrap_or_default();
            format!("{trace} {}", context.baggage.get(TENANT).unwrap_or_default())
        };
        let body = String::from_utf8_lossy(body).into_owned();
        let before = shown(&propagator.current());
        // Other handlers run on this thread meanwhile.
        tokio::task::yield_now().await;
        let after = shown(&propagator.current());
        let mut seen = self.0.lock().unwrap();
        if before != body || after != body {
            seen.0.push(format!("{body} saw {before}, then {after}"));
        }
        seen.1.insert(body);
    }

    fn assert_all(&self) {
        let seen = self.0.lock().unwrap();
        assert!(seen.0.is_empty(), "{} of {MESSAGES}: {:?}", seen.0.len(), seen.0.first());
        assert_eq!(seen.1.len(), MESSAGES);
    }
}

/// Returns an unsampled request of its own trace and tenant, and the body that names both.
fn request(number: usize) -> (Request, String) {
    let tenant = format!("tenant-{number}");
    let request = Request::unsampled().baggage(TENANT, &tenant);
    let body = format!("{} {tenant}", request.trace());
    (request, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_handlers_see_only_their_own_context() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let topic = shop.name("paid");
    kafka::create_topic(&topic).await.unwrap();
    let producer: FutureProducer = kafka::config().create().unwrap();
    let propagation = ProducerPropagation::new(orders.propagator.clone());
    for start in (0..MESSAGES).step_by(1_000) {
        let sends = (start..start + 1_000).map(|number| {
            let (orders, producer, propagation, topic) = (&orders, &producer, &propagation, &topic);
            async move {
                let (request, body) = request(number);
                let record = FutureRecord::<str, str>::to(topic).payload(&body);
                orders.on(&request, propagation.send(producer, record, PATIENCE)).await.unwrap();
            }
        });
        futures_util::future::join_all(sends).await;
    }

    let mut config = kafka::config();
    config.set("group.id", format!("{topic}-group")).set("auto.offset.reset", "earliest");
    let consumer: StreamConsumer = config.create().unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let (seen, (queue, taken)) = (Seen::default(), async_queue(HANDLERS));
    let handlers: Vec<_> = (0..HANDLERS)
        .map(|_| {
            let (seen, propagator, taken) = (seen.clone(), billing.propagator.clone(), Arc::clone(&taken));
            tokio::spawn(async move {
                let consuming = ConsumerPropagation::new(propagator.clone());
                while let Some(message) = take(&taken).await {
                    let message: rdkafka::message::OwnedMessage = message;
                    let body = message.payload().unwrap_or_default();
                    let handler = async {
                        seen.check(&propagator, body).await;
                        Ok::<_, Failure>(())
                    };
                    consuming.process(&message, handler).await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..MESSAGES {
        let message = tokio::time::timeout(PATIENCE, consumer.recv()).await.expect("a record is lost").unwrap();
        queue.send(message.detach()).await.unwrap();
    }
    drop(queue);
    futures_util::future::join_all(handlers).await.into_iter().for_each(|handler| handler.unwrap());
    seen.assert_all();
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_handlers_see_only_their_own_context() {
    use futures_util::StreamExt;
    use lapin::{
        BasicProperties,
        options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions},
        types::FieldTable,
    };

    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let queue = shop.name("paid");
    rabbitmq::declare(&queue).await.unwrap();
    let connection = rabbitmq::connect().await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let propagation = AmqpProducer::new(orders.propagator.clone(), &connection);
    for number in 0..MESSAGES {
        let (request, body) = request(number);
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let key = queue.as_str().into();
        let sent = propagation.publish(&channel, "".into(), key, options, body.as_bytes(), properties);
        orders.on(&request, sent).await.unwrap();
    }

    let channel = connection.create_channel().await.unwrap();
    channel.basic_qos(200, BasicQosOptions::default()).await.unwrap();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut deliveries = channel.basic_consume(queue.as_str().into(), "".into(), options, arguments).await.unwrap();
    let (seen, (sender, taken)) = (Seen::default(), async_queue(HANDLERS));
    let handlers: Vec<_> = (0..HANDLERS)
        .map(|_| {
            let (seen, propagator, taken) = (seen.clone(), billing.propagator.clone(), Arc::clone(&taken));
            let queue = queue.clone();
            tokio::spawn(async move {
                let consuming = AmqpConsumer::new(propagator.clone(), queue);
                while let Some(delivery) = take(&taken).await {
                    let delivery: lapin::message::Delivery = delivery;
                    let handler = async {
                        seen.check(&propagator, &delivery.data).await;
                        Ok::<_, Failure>(())
                    };
                    consuming.process(&delivery, handler).await.unwrap();
                    consuming.ack(&delivery, BasicAckOptions::default()).await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..MESSAGES {
        let delivery = tokio::time::timeout(PATIENCE, deliveries.next()).await.expect("a message is lost");
        sender.send(delivery.unwrap().unwrap()).await.unwrap();
    }
    drop(sender);
    futures_util::future::join_all(handlers).await.into_iter().for_each(|handler| handler.unwrap());
    seen.assert_all();
}

type Taken<M> = Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<M>>>;

/// A bounded queue with several receivers.
fn async_queue<M>(room: usize) -> (tokio::sync::mpsc::Sender<M>, Taken<M>) {
    let (sender, receiver) = tokio::sync::mpsc::channel(room);
    (sender, Arc::new(tokio::sync::Mutex::new(receiver)))
}

async fn take<M>(taken: &Taken<M>) -> Option<M> {
    taken.lock().await.recv().await
}
