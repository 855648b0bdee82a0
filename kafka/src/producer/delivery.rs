use std::{
    error::Error,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use propagation_core::Outcome;
use rdkafka::{
    ClientContext, Message, Statistics,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{DefaultProducerContext, DeliveryResult, Partitioner, ProducerContext},
};

use super::PreparedMessage;

/// The delivery of a record that is in the queue. Answers what [`rdkafka`'s own](rdkafka::producer::DeliveryFuture) does.
///
/// May be dropped by those who don't wait: the record is sent all the same, and its span ends without a word on how that went.
#[must_use = "the send span ends when this is dropped"]
pub struct DeliveryFuture {
    delivery: rdkafka::producer::DeliveryFuture,
    sending: Option<PreparedMessage>,
}

impl DeliveryFuture {
    pub(super) fn new(delivery: rdkafka::producer::DeliveryFuture, sending: PreparedMessage) -> Self {
        Self { delivery, sending: Some(sending) }
    }
}

impl Future for DeliveryFuture {
    type Output = <rdkafka::producer::DeliveryFuture as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(mut answer) = Pin::new(&mut self.delivery).poll(task) else { return Poll::Pending };
        if let Some(sending) = self.sending.take() {
            match answer {
                Ok(Ok(ref delivery)) => sending.delivered(delivery.partition, delivery.offset),
                Ok(Err((error, mut message))) => {
                    let mut headers = message.detach_headers();
                    sending.failed(&error, &mut headers);
                    answer = Ok(Err((error, message.replace_headers(headers))));
                }
                Err(_) => sending.failed(&KafkaError::Canceled, &mut None),
            }
        }
        Poll::Ready(answer)
    }
}

impl Drop for DeliveryFuture {
    fn drop(&mut self) {
        if let Some(sending) = self.sending.take() {
            sending.hop.end(&Outcome::Unset);
        }
    }
}

impl std::fmt::Debug for DeliveryFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeliveryFuture").field("sending", &self.sending).finish_non_exhaustive()
    }
}

/// A producer context around your own, that ends a record's span when librdkafka reports its delivery.
///
/// For [`BaseProducer`](rdkafka::producer::BaseProducer), which reports when you poll it, and
/// [`ThreadedProducer`](rdkafka::producer::ThreadedProducer), which reports on a thread of its own. Send with
/// [`ProducerPropagation::deliver`](crate::ProducerPropagation::deliver). Your context's `delivery` runs in the send span, before it ends.
///
/// ```no_run
/// # fn produce(config: rdkafka::ClientConfig, propagator: propagation_core::Propagator) -> Result<(), Box<dyn std::error::Error>> {
/// use propagation_kafka::{DeliverySpans, ProducerPropagation};
/// use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
///
/// let context = DeliverySpans::new(DefaultProducerContext);
/// let producer: ThreadedProducer<DeliverySpans<DefaultProducerContext>> = config.create_with_context(context)?;
/// let propagation = ProducerPropagation::new(propagator).client(&config);
/// propagation.deliver(&producer, BaseRecord::to("orders").key("4711").payload("{}")).map_err(|(error, _)| error)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct DeliverySpans<C = DefaultProducerContext> {
    context: C,
}

impl<C> DeliverySpans<C> {
    /// Around a context.
    pub fn new(context: C) -> Self {
        Self { context }
    }

    /// The context inside.
    pub fn inner(&self) -> &C {
        &self.context
    }
}

impl<C: ClientContext> ClientContext for DeliverySpans<C> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = C::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.context.stats(statistics);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.context.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.context.generate_oauth_token(config)
    }
}

impl<C, Part> ProducerContext<Part> for DeliverySpans<C>
where
    C: ProducerContext<Part>,
    Part: Partitioner,
{
    type DeliveryOpaque = Box<DeliverySpan<C::DeliveryOpaque>>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivering: Self::DeliveryOpaque) {
        let (opaque, sending) = delivering.into_parts();
        let Some(sending) = sending else { return self.context.delivery(result, opaque) };
        sending.hop.in_scope(|| self.context.delivery(result, opaque));
        match result {
            Ok(message) => sending.delivered(message.partition(), message.offset()),
            // The message is librdkafka's, and gone after this: there are no headers to give back.
            Err((error, _)) => sending.failed(error, &mut None),
        }
    }

    fn get_custom_partitioner(&self) -> Option<&Part> {
        self.context.get_custom_partitioner()
    }
}

/// What travels with a record through librdkafka: your own delivery opaque, and the span.
#[derive(Debug)]
pub struct DeliverySpan<D> {
    opaque: D,
    sending: Option<PreparedMessage>,
}

impl<D> DeliverySpan<D> {
    pub(super) fn new(opaque: D, sending: PreparedMessage) -> Box<Self> {
        Box::new(Self { opaque, sending: Some(sending) })
    }

    /// For a record that is sent past [`ProducerPropagation`](crate::ProducerPropagation), without a span.
    #[must_use]
    pub fn without_span(opaque: D) -> Box<Self> {
        Box::new(Self { opaque, sending: None })
    }

    pub(super) fn into_parts(self) -> (D, Option<PreparedMessage>) {
        (self.opaque, self.sending)
    }
}
