//! Spans that end with the delivery of a record.

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

/// The delivery of a record that is in the queue, with the output of [rdkafka's own future](rdkafka::producer::DeliveryFuture).
///
/// Dropping it does not cancel the send; the span then ends with an unset status.
#[must_use = "the send span ends when this is dropped"]
pub struct DeliveryFuture {
    delivery: rdkafka::producer::DeliveryFuture,
    prepared: Option<PreparedMessage>,
}

impl DeliveryFuture {
    pub(super) fn new(delivery: rdkafka::producer::DeliveryFuture, prepared: PreparedMessage) -> Self {
        Self { delivery, prepared: Some(prepared) }
    }
}

impl Future for DeliveryFuture {
    type Output = <rdkafka::producer::DeliveryFuture as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(mut result) = Pin::new(&mut self.delivery).poll(task) else { return Poll::Pending };
        if let Some(prepared) = self.prepared.take() {
            match result {
                Ok(Ok(ref delivery)) => prepared.delivered(delivery.partition, delivery.offset),
                Ok(Err((error, mut message))) => {
                    let mut headers = message.detach_headers();
                    prepared.failed(&error, &mut headers);
                    result = Ok(Err((error, message.replace_headers(headers))));
                }
                Err(_) => prepared.failed(&KafkaError::Canceled, &mut None),
            }
        }
        Poll::Ready(result)
    }
}

impl Drop for DeliveryFuture {
    fn drop(&mut self) {
        if let Some(prepared) = self.prepared.take() {
            prepared.hop.end(&Outcome::Unset);
        }
    }
}

impl std::fmt::Debug for DeliveryFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeliveryFuture").field("prepared", &self.prepared).finish_non_exhaustive()
    }
}

/// A producer context that wraps another one, and ends a record's span when librdkafka reports its delivery.
///
/// For [`BaseProducer`](rdkafka::producer::BaseProducer), which reports when it is polled, and
/// [`ThreadedProducer`](rdkafka::producer::ThreadedProducer), which reports on its own thread. Send with
/// [`ProducerPropagation::deliver`](crate::ProducerPropagation::deliver). The inner context's `delivery` runs in the send span, before it ends.
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
    /// Wraps a context.
    #[must_use]
    pub fn new(context: C) -> Self {
        Self { context }
    }

    /// Returns the wrapped context.
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

    fn delivery(&self, result: &DeliveryResult<'_>, delivery_span: Self::DeliveryOpaque) {
        let (opaque, prepared) = delivery_span.into_parts();
        let Some(prepared) = prepared else { return self.context.delivery(result, opaque) };
        prepared.hop.in_scope(|| self.context.delivery(result, opaque));
        match result {
            Ok(message) => prepared.delivered(message.partition(), message.offset()),
            // librdkafka owns the message and frees it after this call, so there are no headers to restore.
            Err((error, _)) => prepared.failed(error, &mut None),
        }
    }

    fn get_custom_partitioner(&self) -> Option<&Part> {
        self.context.get_custom_partitioner()
    }
}

/// The delivery opaque of [`DeliverySpans`]: the inner context's opaque, and the span of the record.
#[derive(Debug)]
pub struct DeliverySpan<D> {
    opaque: D,
    prepared: Option<PreparedMessage>,
}

impl<D> DeliverySpan<D> {
    pub(super) fn new(opaque: D, prepared: PreparedMessage) -> Box<Self> {
        Box::new(Self { opaque, prepared: Some(prepared) })
    }

    /// Creates the opaque of a record that is sent without [`ProducerPropagation`](crate::ProducerPropagation), and so without a span.
    #[must_use]
    pub fn without_span(opaque: D) -> Box<Self> {
        Box::new(Self { opaque, prepared: None })
    }

    pub(super) fn into_parts(self) -> (D, Option<PreparedMessage>) {
        (self.opaque, self.prepared)
    }
}
