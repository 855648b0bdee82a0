//! Send spans, for every kind of producer.

mod delivery;
mod prepared;

use propagation_core::{
    Outcome, Peer, Propagator, StoredContext,
    carrier::FieldPriority,
    messaging::{self, ExistingContext},
};
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::ToBytes,
    producer::{
        BaseProducer, BaseRecord, FutureProducer, FutureRecord, Partitioner, ProducerContext, ThreadedProducer,
        future_producer::OwnedDeliveryResult,
    },
    util::{AsyncRuntime, IntoOpaque, Timeout},
};

pub use delivery::{DeliveryFuture, DeliverySpan, DeliverySpans};
pub use prepared::PreparedMessage;

use crate::{
    HeadersCarrierMut,
    attributes::{Client, Operation},
    record::{Details, Record, sealed::Sealed},
};

/// Sends records that carry the current context.
///
/// Works with any producer, also in transactions: pass the producer to each send.
///
/// ```no_run
/// # async fn produce(config: rdkafka::ClientConfig, propagator: propagation_core::Propagator) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use propagation_kafka::ProducerPropagation;
/// use rdkafka::producer::{FutureProducer, FutureRecord};
///
/// let producer: FutureProducer = config.create()?;
/// let propagation = ProducerPropagation::new(propagator).client(&config);
/// let record = FutureRecord::to("orders").key("4711").payload("{}");
/// propagation.send(&producer, record, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;
/// # Ok(())
/// # }
/// ```
///
/// | Producer | Method | The span ends |
/// |---|---|---|
/// | [`FutureProducer`] | [`send`](Self::send) | with the delivery |
/// | [`FutureProducer`] | [`send_result`](Self::send_result) | with the delivery, or when its future is dropped |
/// | [`BaseProducer`], [`ThreadedProducer`] | [`enqueue`](Self::enqueue) | when the record is in the queue |
/// | [`BaseProducer`], [`ThreadedProducer`] with [`DeliverySpans`] as context | [`deliver`](Self::deliver) | with the delivery |
/// | any other | [`prepare`](Self::prepare) | when you end it |
///
/// A send fails only if it would fail without this crate, and returns the record as it was. If the added headers make a record larger
/// than `message.max.bytes`, they are dropped and counted: baggage first, then tracestate, then the ids.
#[derive(Clone, Debug)]
pub struct ProducerPropagation {
    propagator: Propagator,
    existing: ExistingContext,
    client: Client,
}

impl ProducerPropagation {
    /// Creates an adapter for records to any topic.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { propagator, existing: ExistingContext::default(), client: Client::default() }
    }

    /// Sets the treatment of a context that a record already carries.
    #[must_use]
    pub fn existing(mut self, existing: impl Into<ExistingContext>) -> Self {
        self.existing = existing.into();
        self
    }

    /// Returns a copy whose records get a context that the application stored itself.
    ///
    /// For an outbox relay. Such a context is trusted also inside the hop of an untrusted caller.
    #[must_use]
    pub fn with_stored(&self, stored: StoredContext) -> Self {
        self.clone().existing(stored)
    }

    /// Reads span attributes from the producer's configuration: `client.id`, and the address and port in
    /// `bootstrap.servers` if that names one broker.
    #[must_use]
    pub fn client(mut self, config: &ClientConfig) -> Self {
        self.client.set(|client| client.configure(config));
        self
    }

    /// Sets the cluster's id in span attributes. Brokers of version 0.10.1 and later return it.
    ///
    /// ```no_run
    /// # fn id(propagation: propagation_kafka::ProducerPropagation, client: &rdkafka::producer::FutureProducer) -> propagation_kafka::ProducerPropagation {
    /// use std::time::Duration;
    ///
    /// use rdkafka::producer::Producer;
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

    /// Calls [`FutureProducer::send`] with the current context. The span ends with the delivery, or as cancelled if the future is dropped.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`FutureProducer::send`], and the message with the record's own headers.
    pub async fn send<C, R, K, P>(
        &self,
        producer: &FutureProducer<C, R>,
        mut record: FutureRecord<'_, K, P>,
        queue_timeout: impl Into<Timeout>,
    ) -> OwnedDeliveryResult
    where
        C: ClientContext + 'static,
        R: AsyncRuntime,
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let mut prepared = self.prepare(&mut record);
        let queue_timeout = queue_timeout.into();
        let again = FutureRecord { headers: None, ..record };
        let mut next = FutureRecord { headers: record.headers, ..again };
        loop {
            let sent = prepared.hop.scope(producer.send(next, queue_timeout)).await;
            match sent {
                Ok(delivery) => {
                    prepared.delivered(delivery.partition, delivery.offset);
                    return Ok(delivery);
                }
                Err((error, mut message)) => {
                    let mut headers = message.detach_headers();
                    if !(is_too_large(&error) && self.shed(&mut prepared, &mut headers, again.topic)) {
                        prepared.failed(&error, &mut headers);
                        return Err((error, message.replace_headers(headers)));
                    }
                    next = FutureRecord { headers, ..again };
                }
            }
        }
    }

    /// Calls [`FutureProducer::send_result`] with the current context. Returns once the record is in the queue.
    ///
    /// The span ends with the delivery, or with an unset status when the returned future is dropped.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`FutureProducer::send_result`], and the record with its own headers.
    #[expect(clippy::result_large_err, reason = "rdkafka's own type")]
    pub fn send_result<'a, C, R, K, P>(
        &self,
        producer: &FutureProducer<C, R>,
        record: FutureRecord<'a, K, P>,
    ) -> Result<DeliveryFuture, (KafkaError, FutureRecord<'a, K, P>)>
    where
        C: ClientContext + 'static,
        R: AsyncRuntime,
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let (delivery, prepared) = self.enqueue_prepared(record, |record| producer.send_result(record))?;
        Ok(DeliveryFuture::new(delivery, prepared))
    }

    /// Calls `send` of a [`BaseProducer`] or [`ThreadedProducer`] with the current context.
    ///
    /// The span ends when the record is in the queue. With [`deliver`](Self::deliver), it ends with the delivery.
    ///
    /// # Errors
    ///
    /// Returns the errors of the producer's `send`, and the record with its own headers.
    #[expect(clippy::result_large_err, reason = "rdkafka's own type")]
    pub fn enqueue<'a, Q, C, Part, K, P>(
        &self,
        producer: &Q,
        record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
    ) -> EnqueueResult<'a, K, P, C::DeliveryOpaque>
    where
        Q: Enqueue<C, Part>,
        C: ProducerContext<Part>,
        Part: Partitioner,
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let ((), prepared) = self.enqueue_prepared(record, |record| producer.enqueue(record))?;
        prepared.hop.end(&Outcome::Unset);
        Ok(())
    }

    /// Like [`enqueue`](Self::enqueue), for a producer whose context is [`DeliverySpans`]: the span ends with the delivery.
    ///
    /// # Errors
    ///
    /// Returns the errors of the producer's `send`, and the record with its own headers. Failed deliveries are reported to the context.
    #[expect(clippy::result_large_err, reason = "rdkafka's own type")]
    pub fn deliver<'a, Q, C, Part, K, P>(
        &self,
        producer: &Q,
        mut record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
    ) -> EnqueueResult<'a, K, P, C::DeliveryOpaque>
    where
        Q: Enqueue<DeliverySpans<C>, Part>,
        C: ProducerContext<Part>,
        Part: Partitioner,
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let mut prepared = self.prepare(&mut record);
        loop {
            let (record_with_span, opaque) = take_opaque(record);
            match producer.enqueue(with_opaque(record_with_span, DeliverySpan::new(opaque, prepared))) {
                Ok(()) => return Ok(()),
                Err((error, returned)) => {
                    let (rest, delivering) = take_opaque(returned);
                    let (opaque, back) = delivering.into_parts();
                    record = with_opaque(rest, opaque);
                    let Some(mut back) = back else { return Err((error, record)) };
                    if !(is_too_large(&error) && self.shed(&mut back, &mut record.headers, record.topic)) {
                        back.failed(&error, &mut record.headers);
                        return Err((error, record));
                    }
                    prepared = back;
                }
            }
        }
    }

    /// Starts the send span of a record that you send yourself, and writes its context to the record.
    ///
    /// Send the record in the hop, then call [`PreparedMessage::delivered`] or [`PreparedMessage::failed`].
    pub fn prepare(&self, record: &mut impl Record) -> PreparedMessage {
        let (details, headers) = record.split();
        let mut carrier = HeadersCarrierMut::new(headers);
        let peer = Peer::kafka(details.topic);
        let prepared = messaging::send(&self.propagator, &peer, &self.existing, &mut carrier, |hop| {
            self.client.describe(&self.propagator, hop, Operation::SEND, details.topic);
            self.client.describe_record(hop, &details);
        });
        PreparedMessage::new(prepared, carrier.into_before())
    }

    /// Enqueues a record, and retries with fewer fields while the added fields make it too large.
    fn enqueue_prepared<R: Record, T>(
        &self,
        mut record: R,
        send: impl Fn(R) -> Result<T, (KafkaError, R)>,
    ) -> Result<(T, PreparedMessage), (KafkaError, R)> {
        let mut prepared = self.prepare(&mut record);
        loop {
            match prepared.hop.in_scope(|| send(record)) {
                Ok(sent) => return Ok((sent, prepared)),
                Err((error, returned)) => {
                    record = returned;
                    let (Details { topic, .. }, headers) = record.split();
                    if !(is_too_large(&error) && self.shed(&mut prepared, headers, topic)) {
                        prepared.failed(&error, record.headers_mut());
                        return Err((error, record));
                    }
                }
            }
        }
    }

    /// Drops the least important fields from a record that is too large. Returns `false` if no field is left.
    fn shed(
        &self,
        prepared: &mut PreparedMessage,
        headers: &mut Option<rdkafka::message::OwnedHeaders>,
        topic: &str,
    ) -> bool {
        [Some(FieldPriority::State), Some(FieldPriority::Ids), None]
            .into_iter()
            .any(|least| prepared.shed(headers, least, &self.propagator, topic))
    }
}

/// The result of [`BaseProducer::send`]: the error and the record if it was not enqueued.
pub type EnqueueResult<'a, K, P, D> = Result<(), (KafkaError, BaseRecord<'a, K, P, D>)>;

/// A producer whose `send` returns once a record is in the queue: [`BaseProducer`] or [`ThreadedProducer`]. Sealed.
pub trait Enqueue<C, Part>: Sealed
where
    C: ProducerContext<Part>,
    Part: Partitioner,
{
    /// Calls the producer's `send`.
    ///
    /// # Errors
    ///
    /// Returns the errors of the producer's `send`, and the record.
    #[expect(clippy::result_large_err, reason = "rdkafka's own type")]
    fn enqueue<'a, K, P>(
        &self,
        record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
    ) -> EnqueueResult<'a, K, P, C::DeliveryOpaque>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized;
}

macro_rules! enqueue {
    ($producer:ident $(, $bound:lifetime)?) => {
        impl<C, Part> Sealed for $producer<C, Part>
        where
            C: ProducerContext<Part> $(+ $bound)?,
            Part: Partitioner,
        {
        }

        impl<C, Part> Enqueue<C, Part> for $producer<C, Part>
        where
            C: ProducerContext<Part> $(+ $bound)?,
            Part: Partitioner,
        {
            fn enqueue<'a, K, P>(
                &self,
                record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
            ) -> EnqueueResult<'a, K, P, C::DeliveryOpaque>
            where
                K: ToBytes + ?Sized,
                P: ToBytes + ?Sized,
            {
                self.send(record)
            }
        }
    };
}

enqueue!(BaseProducer);
enqueue!(ThreadedProducer, 'static);

fn is_too_large(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge))
}

fn take_opaque<K: ToBytes + ?Sized, P: ToBytes + ?Sized, D: IntoOpaque>(
    record: BaseRecord<'_, K, P, D>,
) -> (BaseRecord<'_, K, P>, D) {
    let BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque } = record;
    (BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque: () }, delivery_opaque)
}

fn with_opaque<K: ToBytes + ?Sized, P: ToBytes + ?Sized, D: IntoOpaque>(
    record: BaseRecord<'_, K, P>,
    delivery_opaque: D,
) -> BaseRecord<'_, K, P, D> {
    let BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque: () } = record;
    BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque }
}
