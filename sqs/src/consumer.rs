use std::{future::Future, time::Duration};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use propagation_core::{
    Admission, HopSpan, Peer, Propagator, SpanKind,
    messaging::{self, Destinations, ParentMode, Processing},
};

use crate::{
    MessageCarrier,
    attributes::{self, Queue},
};

/// Processes messages of one queue in the context that they carry.
///
/// ```no_run
/// # async fn consume(client: aws_sdk_sqs::Client, propagator: propagation_core::Propagator) -> Result<(), aws_sdk_sqs::Error> {
/// use propagation_sqs::ConsumerPropagation;
///
/// let queue_url = "https://sqs.us-east-1.amazonaws.com/123456789012/notifications";
/// let consumer = ConsumerPropagation::new(propagator, queue_url);
/// let received = client.receive_message().queue_url(queue_url).wait_time_seconds(20).send().await?;
/// for message in received.messages() {
///     let done = consumer.process(message, async { notify(message.body()).await }).await;
///     if done.is_ok() {
///         let handle = message.receipt_handle().unwrap_or_default();
///         client.delete_message().queue_url(queue_url).receipt_handle(handle).send().await?;
///     }
/// }
/// # Ok(())
/// # }
/// # async fn notify(_: Option<&str>) -> Result<(), std::io::Error> { Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ConsumerPropagation {
    propagator: Propagator,
    queue: Queue,
    known: Destinations,
    parent: ParentMode,
    #[cfg(feature = "envelopes")]
    envelopes: bool,
}

impl ConsumerPropagation {
    /// Creates an adapter for messages of a queue, given by its URL, ARN or name.
    #[must_use]
    pub fn new(propagator: Propagator, queue: impl Into<String>) -> Self {
        Self {
            propagator,
            queue: Queue::new(queue),
            known: Destinations::default(),
            parent: ParentMode::default(),
            #[cfg(feature = "envelopes")]
            envelopes: false,
        }
    }

    /// Sets the parent of process spans.
    ///
    /// The age of a message is known if a client with [`SqsInterceptor`](crate::SqsInterceptor) received it, because the interceptor
    /// requests the time of sending.
    #[must_use]
    pub fn parent_mode(mut self, parent: ParentMode) -> Self {
        self.parent = parent;
        self
    }

    /// Also reads contexts from envelopes in message bodies: notifications of SNS without raw delivery (their `MessageAttributes`), and
    /// events of EventBridge (`traceparent`, `tracestate` and `baggage` in `detail`). Fields on the message itself take precedence.
    ///
    /// Off by default. Only for queues that such a service alone fills: an untrusted author of a body would choose the trace.
    #[cfg(feature = "envelopes")]
    #[must_use]
    pub fn with_envelopes(mut self, read: bool) -> Self {
        self.envelopes = read;
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
        message: &Message,
        handler: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.start(message).run(handler).await
    }

    /// Like [`process`](Self::process), for a handler that is a closure.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub fn process_sync<T, E: 'static>(
        &self,
        message: &Message,
        handler: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.start(message).run_sync(handler)
    }

    /// Runs a handler of several messages in one process span, and ends the span with the handler's result.
    ///
    /// The span links to every message, with its id. Its parent and its baggage are the current ones, because the messages may belong to
    /// different traces.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub async fn process_batch<T, E: 'static>(
        &self,
        messages: &[Message],
        handler: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let peer = Peer::sqs(self.queue.name());
        let creation = |message| {
            let creation = messaging::creation_context(&self.propagator, &peer, &self.carrier(message));
            creation.with_attributes(attributes::message_id(message).into_iter().collect())
        };
        let creations: Vec<_> = messages.iter().map(creation).collect();
        let hop = messaging::batch(&self.propagator, SpanKind::Consumer, &creations, |hop, messages| {
            self.queue.describe(&self.known, &self.propagator, hop, ("process", "process"));
            attributes::count(hop, messages);
        });
        hop.run(handler).await
    }

    /// Starts the process span only. Run the handler in the hop, and end the hop with its outcome.
    #[must_use]
    pub fn start(&self, message: &Message) -> HopSpan {
        let delivery = message.receipt_handle().map(attributes::delivery);
        let processing = Processing::new(self.parent).with_age(age(message)).with_delivery(delivery);
        messaging::process(&self.propagator, self.extract(message), processing, |hop| {
            self.queue.describe(&self.known, &self.propagator, hop, ("process", "process"));
            hop.attributes.extend(attributes::message_id(message));
            hop.attributes.extend(attributes::delivery_count(message));
        })
    }

    /// Extracts the context of a message and applies the policy. Makes no span.
    #[must_use]
    pub fn extract(&self, message: &Message) -> Admission {
        self.propagator.extract(&Peer::sqs(self.queue.name()), &self.carrier(message))
    }

    #[cfg_attr(
        not(feature = "envelopes"),
        allow(clippy::unused_self, reason = "the signature is independent of the feature")
    )]
    fn carrier<'a>(&self, message: &'a Message) -> MessageCarrier<'a> {
        #[cfg(feature = "envelopes")]
        if self.envelopes {
            return MessageCarrier::with_envelope(message);
        }
        MessageCarrier::new(message)
    }
}

/// Returns the time since a message was sent.
fn age(message: &Message) -> Option<Duration> {
    let sent: u64 = message.attributes()?.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok()?;
    messaging::age(Duration::from_millis(sent))
}
