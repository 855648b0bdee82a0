//! Process, receive and settle spans.

use std::future::Future;

use propagation_core::{
    Admission, HopSpan, Outcome, Peer, Propagator, SpanKind, Transport,
    messaging::{self, CreationContext, DeliveryKey, ParentMode, Processing},
};
use rdkafka::{
    ClientConfig, Message,
    consumer::{CommitMode, Consumer, ConsumerContext},
    error::KafkaResult,
    message::BorrowedMessage,
};

use crate::{
    HeadersCarrier, MessageExt, NativeHeaders,
    attributes::{self, Client, Operation},
};

/// Processes messages in the context that they carry.
///
/// Works with messages of any consumer. No content of a record's headers makes it fail or panic.
///
/// ```no_run
/// # async fn consume(config: rdkafka::ClientConfig, propagator: propagation_core::Propagator) -> rdkafka::error::KafkaResult<()> {
/// use propagation_kafka::ConsumerPropagation;
/// use rdkafka::{Message, consumer::{CommitMode, Consumer, StreamConsumer}};
///
/// let consumer: StreamConsumer = config.create()?;
/// consumer.subscribe(&["orders"])?;
/// let propagation = ConsumerPropagation::new(propagator).client(&config);
/// loop {
///     let message = consumer.recv().await?;
///     if propagation.process(&message, pay(message.payload())).await.is_ok() {
///         propagation.commit(&consumer, &message, CommitMode::Async)?;
///     }
/// }
/// # }
/// # async fn pay(_: Option<&[u8]>) -> Result<(), std::io::Error> { Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ConsumerPropagation {
    propagator: Propagator,
    parent: ParentMode,
    client: Client,
}

impl ConsumerPropagation {
    /// Creates an adapter for messages of any topic.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { propagator, parent: ParentMode::default(), client: Client::default() }
    }

    /// Sets the parent of process spans.
    #[must_use]
    pub fn parent_mode(mut self, parent: ParentMode) -> Self {
        self.parent = parent;
        self
    }

    /// Reads span attributes from the consumer's configuration: `client.id`, `group.id`, and the address and port in
    /// `bootstrap.servers` if that names one broker.
    #[must_use]
    pub fn client(mut self, config: &ClientConfig) -> Self {
        self.client.set(|client| client.configure(config));
        self
    }

    /// Sets the consumer group in span attributes.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.client.set(|client| client.group = Some(name.into()));
        self
    }

    /// Sets the cluster's id in span attributes. Brokers of version 0.10.1 and later return it.
    ///
    /// ```no_run
    /// # fn id(propagation: propagation_kafka::ConsumerPropagation, client: &rdkafka::consumer::StreamConsumer) -> propagation_kafka::ConsumerPropagation {
    /// use std::time::Duration;
    ///
    /// use rdkafka::consumer::Consumer;
    ///
    /// match client.client().fetch_cluster_id(Duration::from_secs(5)) {
    ///     Some(id) => propagation.cluster_id(id),
    ///     None => propagation,
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn cluster_id(mut self, id: impl Into<String>) -> Self {
        self.client.set(|client| client.cluster = Some(id.into()));
        self
    }

    /// Records message keys as span attributes. Off by default, because a key may be personal data.
    ///
    /// Keys that are not UTF-8, or that the policy's scrubbers object to, are never recorded.
    #[must_use]
    pub fn with_message_key(mut self, shown: bool) -> Self {
        self.client.set(|client| client.message_key = shown);
        self
    }

    /// Runs a handler in the context of its message, and ends the process span with the handler's result.
    ///
    /// If the future is dropped before it is ready, the span ends as cancelled.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub async fn process<M: Message<Headers: NativeHeaders>, T, E: 'static>(
        &self,
        message: &M,
        handler: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.start(message).run(handler).await
    }

    /// Like [`process`](Self::process), for a handler that is a closure.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub fn process_sync<M: Message<Headers: NativeHeaders>, T, E: 'static>(
        &self,
        message: &M,
        handler: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.start(message).run_sync(handler)
    }

    /// Starts the process span only. Run the handler in the hop, and end the hop with its outcome.
    #[must_use]
    pub fn start<M: Message<Headers: NativeHeaders>>(&self, message: &M) -> HopSpan {
        let processing = Processing::new(self.parent).with_age(message.age()).with_delivery(Some(self.key(message)));
        messaging::process(&self.propagator, self.extract(message), processing, |hop| {
            self.client.describe(&self.propagator, hop, Operation::PROCESS, message.topic());
            self.client.describe_message(hop, message);
        })
    }

    /// Extracts the context of a message and applies the policy. Makes no span.
    #[must_use]
    pub fn extract<M: Message<Headers: NativeHeaders>>(&self, message: &M) -> Admission {
        message.extract(&self.propagator)
    }

    /// Starts the receive span of messages that were polled together, linked to each of them. A link has the message's partition
    /// and offset.
    ///
    /// Run [`process`](Self::process) of each message in the hop and then end the hop, or end it at once. A span has one destination
    /// and at most [`LINKS_PER_SPAN`](messaging::LINKS_PER_SPAN) links. For more topics or messages, further spans are started as
    /// children of the first, and end at once.
    #[must_use]
    pub fn receive<M: Message<Headers: NativeHeaders>>(&self, messages: &[M]) -> HopSpan {
        self.batch(SpanKind::Client, Operation::RECEIVE, messages)
    }

    /// Runs a handler of several messages in one process span, and ends the span with the handler's result.
    ///
    /// The span links to every message, with its partition and offset. Its parent and its baggage are the current ones, because the messages may belong to
    /// different traces.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub async fn process_batch<M: Message<Headers: NativeHeaders>, T, E: 'static>(
        &self,
        messages: &[M],
        handler: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.batch(SpanKind::Consumer, Operation::PROCESS, messages).run(handler).await
    }

    /// Calls [`Consumer::commit_message`] in a settle span: a child of the message's process span, linked to the message.
    ///
    /// The span of an asynchronous commit ends when the commit is enqueued.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Consumer::commit_message`].
    pub fn commit<C: ConsumerContext>(
        &self,
        consumer: &impl Consumer<C>,
        message: &BorrowedMessage<'_>,
        mode: CommitMode,
    ) -> KafkaResult<()> {
        let creation = || self.creation(message);
        let hop = messaging::settle(&self.propagator, self.key(message), creation, |hop| {
            self.client.describe(&self.propagator, hop, Operation::COMMIT, message.topic());
            hop.attributes.extend(attributes::place(message));
        });
        let committed = hop.in_scope(|| consumer.commit_message(message, mode));
        hop.end(&attributes::outcome(&committed));
        committed
    }

    /// Runs a closure that settles messages, in a settle span that links to each of them.
    ///
    /// For example, a commit of a list of offsets or of the consumer's state, or
    /// [`send_offsets_to_transaction`](rdkafka::producer::Producer::send_offsets_to_transaction). The span is named by `operation` and
    /// the topic.
    ///
    /// # Errors
    ///
    /// Returns the closure's error.
    pub fn settle<M: Message<Headers: NativeHeaders>, T>(
        &self,
        operation: &'static str,
        messages: &[M],
        run: impl FnOnce() -> KafkaResult<T>,
    ) -> KafkaResult<T> {
        let hop = self.batch(SpanKind::Client, Operation::settle(operation), messages);
        let settled = hop.in_scope(run);
        hop.end(&attributes::outcome(&settled));
        settled
    }

    fn batch<M: Message<Headers: NativeHeaders>>(
        &self,
        kind: SpanKind,
        operation: Operation,
        messages: &[M],
    ) -> HopSpan {
        let mut topics: Vec<(&str, Vec<CreationContext>)> = Vec::new();
        for message in messages {
            let mut creation = self.creation(message);
            if self.propagator.is_recording() {
                creation = creation.with_attributes(attributes::place(message).into());
            }
            // Work runs in the first span, so that one gets the strictest admission.
            if let Some((_, [first, ..])) = topics.first_mut().map(|(topic, all)| (topic, all.as_mut_slice())) {
                first.restrict(&self.propagator, &creation);
            }
            match topics.iter_mut().find(|(topic, _)| *topic == message.topic()) {
                Some((_, creations)) => creations.push(creation),
                None => topics.push((message.topic(), vec![creation])),
            }
        }
        let start = |topic: &str, creations: &[CreationContext]| {
            messaging::batch(&self.propagator, kind, creations, |hop, count| {
                self.client.describe(&self.propagator, hop, operation, topic);
                hop.attributes.push(propagation_core::Attribute::new(
                    propagation_core::semconv::MESSAGING_BATCH_MESSAGE_COUNT,
                    count,
                ));
            })
        };
        let mut topics = topics.into_iter();
        let (topic, creations) = topics.next().unwrap_or_default();
        let first = start(topic, &creations);
        first.in_scope(|| topics.for_each(|(topic, creations)| start(topic, &creations).end(&Outcome::Unset)));
        first
    }

    fn key(&self, message: &impl Message) -> DeliveryKey {
        let place = (message.topic(), message.partition(), message.offset());
        DeliveryKey::new(Transport::KAFKA, (place, self.client.group()))
    }

    fn creation<M: Message<Headers: NativeHeaders>>(&self, message: &M) -> CreationContext {
        messaging::creation_context(
            &self.propagator,
            &Peer::kafka(message.topic()),
            &HeadersCarrier::of_message(message),
        )
    }
}
