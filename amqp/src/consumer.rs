//! Process, receive and settle spans.

use std::{future::Future, time::Duration};

use lapin::{
    Channel,
    message::{BasicGetMessage, Delivery},
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicRejectOptions},
    types::ShortString,
};
use propagation_core::{
    Admission, Attribute, Hop, HopSpan, Outcome, Peer, Propagator, SpanKind, Transport,
    messaging::{self, CreationContext, DeliveryKey, ParentMode, Processing},
    semconv,
};

use crate::{
    PropertiesCarrier,
    attributes::{Declared, Destination, ServerAddress, delivery_count, ids},
};

/// Processes messages of one queue in the context that they carry.
///
/// ```no_run
/// # async fn consume(mut messages: lapin::Consumer, propagator: propagation_core::Propagator) -> lapin::Result<()> {
/// use futures_util::StreamExt;
/// use propagation_amqp::ConsumerPropagation;
///
/// let consumer = ConsumerPropagation::new(propagator, "shipping");
/// while let Some(delivery) = messages.next().await {
///     let delivery = delivery?;
///     consumer.process(&delivery, async { ship(&delivery.data).await }).await.ok();
///     consumer.ack(&delivery, Default::default()).await?;
/// }
/// # Ok(())
/// # }
/// # async fn ship(_: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ConsumerPropagation {
    propagator: Propagator,
    queue: String,
    parent: ParentMode,
    declared: Declared,
}

impl ConsumerPropagation {
    /// Creates an adapter for messages of a queue.
    #[must_use]
    pub fn new(propagator: Propagator, queue: impl Into<String>) -> Self {
        Self { propagator, queue: queue.into(), parent: ParentMode::default(), declared: Declared::default() }
    }

    /// Sets the broker's address, `server.address` and `server.port` of spans and metrics: an [`AMQPUri`](lapin::uri::AMQPUri), or a
    /// [`ServerAddress`].
    #[must_use]
    pub fn with_server(mut self, server: impl Into<ServerAddress>) -> Self {
        self.declared.set(|settings| settings.server = Some(server.into()));
        self
    }

    /// Declares an exchange and the routing keys, or templates of them, of its messages. For example, `["paid", "orders.*"]`.
    ///
    /// Only declared routing keys become part of span names and metrics, beside exchange and queue. Templates are words separated by
    /// dots, as in bindings of topic exchanges: `*` and `{…}` match one word, `#` any number of words.
    #[must_use]
    pub fn with_exchange<I>(mut self, exchange: &str, routing_keys: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.declared.set(|settings| settings.names = settings.names.with_exchange(exchange, routing_keys));
        self
    }

    /// Declares the queue as temporary, for example an exclusive or auto-delete queue whose name is made at run time.
    ///
    /// Temporary queues are omitted from span names and metrics. Queues with names that the broker generates (`amq.gen-…`, direct
    /// reply-to) always are.
    #[must_use]
    pub fn with_temporary_queue(mut self, temporary: bool) -> Self {
        self.declared.set(|settings| settings.temporary = temporary);
        self
    }

    /// Sets the parent of process spans. The age of a message is known if its publisher has set `timestamp`.
    #[must_use]
    pub fn parent_mode(mut self, parent: ParentMode) -> Self {
        self.parent = parent;
        self
    }

    /// Runs a handler in the context of its message, and ends the process span with the handler's result.
    ///
    /// If the future is dropped before it is ready, the span ends as cancelled.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub async fn process<T, E: 'static>(
        &self,
        delivery: &Delivery,
        handler: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.start(delivery).run(handler).await
    }

    /// Like [`process`](Self::process), for a handler that is a closure.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub fn process_sync<T, E: 'static>(
        &self,
        delivery: &Delivery,
        handler: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.start(delivery).run_sync(handler)
    }

    /// Runs a handler of several messages in one process span, and ends the span with the handler's result.
    ///
    /// The span links to every message, with its delivery tag and ids. It names exchange and routing key only if all messages share them. Its parent and its baggage are
    /// the current ones, because the messages may belong to different traces.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub async fn process_batch<T, E: 'static>(
        &self,
        deliveries: &[Delivery],
        handler: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let creations: Vec<_> = deliveries.iter().map(|delivery| self.described(delivery)).collect();
        let place = |delivery: &Delivery| (delivery.exchange.clone(), delivery.routing_key.clone());
        let (exchange, routing_key) = match deliveries.split_first() {
            Some((first, rest)) if rest.iter().all(|delivery| place(delivery) == place(first)) => place(first),
            _ => Default::default(),
        };
        let destination = self.source(exchange.as_str(), routing_key.as_str());
        let hop = messaging::batch(&self.propagator, SpanKind::Consumer, &creations, |hop, count| {
            destination.describe(&self.propagator, hop, "process", "process");
            hop.attributes.push(Attribute::new(semconv::MESSAGING_BATCH_MESSAGE_COUNT, count));
        });
        hop.run(handler).await
    }

    /// Starts the process span only. Run the handler in the hop, and end the hop with its outcome.
    #[must_use]
    pub fn start(&self, delivery: &Delivery) -> HopSpan {
        let processing = Processing::new(self.parent).with_age(age(delivery)).with_delivery(Some(self.key(delivery)));
        messaging::process(&self.propagator, self.extract(delivery), processing, |hop| {
            self.describe(hop, delivery, "process", "process");
        })
    }

    /// Extracts the context of a message and applies the policy. Makes no span.
    #[must_use]
    pub fn extract(&self, delivery: &Delivery) -> Admission {
        self.propagator.extract(&Peer::amqp(&self.queue), &PropertiesCarrier::new(&delivery.properties))
    }

    /// Calls [`Channel::basic_get`] in a receive span that links to the message.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Channel::basic_get`].
    pub async fn get(&self, channel: &Channel, options: BasicGetOptions) -> lapin::Result<Option<BasicGetMessage>> {
        let destination = self.source("", "");
        let mut hop = Hop::local(SpanKind::Client, self.propagator.current());
        if self.propagator.is_recording() {
            destination.describe(&self.propagator, &mut hop, "receive", "receive");
        }
        let hop = self.propagator.start(hop);
        let queue = ShortString::try_new(self.queue.as_str()).unwrap_or_default();
        let received = hop.scope(channel.basic_get(queue, options)).await;
        if let Ok(Some(message)) = &received {
            hop.add_link(self.described(&message.delivery).link());
        }
        hop.end(&Outcome::of(&received));
        received
    }

    /// Acknowledges a message in a settle span: a child of the message's process span, linked to the message.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Acker::ack`](lapin::Acker::ack).
    pub async fn ack(&self, delivery: &Delivery, options: BasicAckOptions) -> lapin::Result<bool> {
        self.settle(delivery, "ack", delivery.acker.ack(options)).await
    }

    /// Negatively acknowledges a message in a settle span: a child of the message's process span, linked to the message.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Acker::nack`](lapin::Acker::nack).
    pub async fn nack(&self, delivery: &Delivery, options: BasicNackOptions) -> lapin::Result<bool> {
        self.settle(delivery, "nack", delivery.acker.nack(options)).await
    }

    /// Rejects a message in a settle span: a child of the message's process span, linked to the message.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Acker::reject`](lapin::Acker::reject).
    pub async fn reject(&self, delivery: &Delivery, options: BasicRejectOptions) -> lapin::Result<bool> {
        self.settle(delivery, "reject", delivery.acker.reject(options)).await
    }

    async fn settle(
        &self,
        delivery: &Delivery,
        operation: &'static str,
        settled: impl Future<Output = lapin::Result<bool>>,
    ) -> lapin::Result<bool> {
        let creation = || self.creation(delivery);
        let hop = messaging::settle(&self.propagator, self.key(delivery), creation, |hop| {
            self.describe(hop, delivery, operation, "settle");
        });
        let settled = hop.scope(settled).await;
        hop.end(&Outcome::of(&settled));
        settled
    }

    /// Returns a key of the delivery. Tags are counted by channel, and lapin does not expose a delivery's channel, so the address
    /// of the payload distinguishes deliveries of two channels with one tag.
    fn key(&self, delivery: &Delivery) -> DeliveryKey {
        let place = (delivery.data.as_ptr().addr(), delivery.exchange.as_str(), delivery.routing_key.as_str());
        DeliveryKey::new(Transport::AMQP, (self.queue.as_str(), delivery.delivery_tag, place))
    }

    fn creation(&self, delivery: &Delivery) -> CreationContext {
        messaging::creation_context(
            &self.propagator,
            &Peer::amqp(&self.queue),
            &PropertiesCarrier::new(&delivery.properties),
        )
    }

    /// Returns the creation context with the attributes of the message, for the link of a span that covers several messages.
    fn described(&self, delivery: &Delivery) -> CreationContext {
        let creation = self.creation(delivery);
        if !self.propagator.is_recording() {
            return creation;
        }
        creation.with_attributes(message_attributes(delivery).collect())
    }

    /// Describes the hop of one message.
    fn describe(&self, hop: &mut Hop, delivery: &Delivery, operation: &'static str, kind: &'static str) {
        let destination = self.source(delivery.exchange.as_str(), delivery.routing_key.as_str());
        destination.describe(&self.propagator, hop, operation, kind);
        hop.attributes.extend(message_attributes(delivery));
        hop.attributes.extend(delivery_count(&delivery.properties));
    }

    fn source<'a>(&'a self, exchange: &'a str, routing_key: &'a str) -> Destination<'a> {
        Destination { exchange, routing_key, queue: Some(self.queue.as_str()), declared: &self.declared }
    }
}

/// Returns the time since a message was published; `timestamp` is in seconds.
fn age(delivery: &Delivery) -> Option<Duration> {
    messaging::age(Duration::from_secs((*delivery.properties.timestamp())?))
}

/// Returns the delivery tag, the message id and the conversation id.
fn message_attributes(delivery: &Delivery) -> impl Iterator<Item = Attribute> {
    let tag = i64::try_from(delivery.delivery_tag).unwrap_or(i64::MAX);
    let tag = Attribute::new(semconv::RABBITMQ_MESSAGE_DELIVERY_TAG, tag);
    std::iter::once(tag).chain(ids(&delivery.properties))
}
