mod delivery;
mod prepared;

use propagation_core::{
    Outcome, Peer, Priority, Propagator, StoredContext,
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
    record::{Record, sealed::Sealed},
};

/// Sends records that carry the current context.
///
/// Works beside any producer, in transactions too: it is handed to each send.
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
/// | the same, with [`DeliverySpans`] as context | [`deliver`](Self::deliver) | with the delivery |
/// | any other way | [`prepare`](Self::prepare) | when you end it |
///
/// A send fails as it would have failed alone, and hands the record back as it was. Where only what was added makes a
/// record larger than `message.max.bytes`, it is sent without: baggage goes first, then tracestate, and at last the ids.
#[derive(Clone, Debug)]
pub struct ProducerPropagation {
    propagator: Propagator,
    existing: ExistingContext,
    client: Client,
}

impl ProducerPropagation {
    /// For records to any topic.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { propagator, existing: ExistingContext::default(), client: Client::default() }
    }

    /// What happens to a context that a record already carries.
    #[must_use]
    pub fn existing(mut self, existing: impl Into<ExistingContext>) -> Self {
        self.existing = existing.into();
        self
    }

    /// Returns a producer whose records get this context, which the application has stored itself: an outbox relay, also inside the
    /// hop of a caller whose own context is not trusted.
    #[must_use]
    pub fn with_stored(&self, stored: StoredContext) -> Self {
        self.clone().existing(stored)
    }

    /// Takes what spans say of the producer from its configuration: `client.id`, and the address and port in
    /// `bootstrap.servers` if that names one broker.
    #[must_use]
    pub fn client(mut self, config: &ClientConfig) -> Self {
        self.client.configure(config);
        self
    }

    /// Whether spans say a record's key. They don't by default, as a key may be personal; and never one that is not UTF-8 or that
    /// the policy's scrubbers object to.
    #[must_use]
    pub fn with_message_key(mut self, shown: bool) -> Self {
        self.client.message_key = shown;
        self
    }

    /// [`FutureProducer::send`] with the current context. The span ends with the delivery; dropped before, as cancelled.
    ///
    /// # Errors
    ///
    /// Those of [`FutureProducer::send`], with the message as the record was.
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
        let mut sending = self.prepare(&mut record);
        let queue_timeout = queue_timeout.into();
        let again = FutureRecord { headers: None, ..record };
        let mut next = FutureRecord { headers: record.headers, ..again };
        loop {
            let sent = sending.hop.scope(producer.send(next, queue_timeout)).await;
            match sent {
                Ok(delivery) => {
                    sending.delivered(delivery.partition, delivery.offset);
                    return Ok(delivery);
                }
                Err((error, mut message)) => {
                    let mut headers = message.detach_headers();
                    if !(is_too_large(&error) && self.shed(&mut sending, &mut headers)) {
                        sending.failed(&error, &mut headers);
                        return Err((error, message.replace_headers(headers)));
                    }
                    next = FutureRecord { headers, ..again };
                }
            }
        }
    }

    /// [`FutureProducer::send_result`] with the current context: the answer comes once the record is in the queue.
    ///
    /// The span ends with the delivery, or, without a word on how it went, when the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`FutureProducer::send_result`], with the record as it was.
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
        let (delivery, sending) = self.hand_over(record, |record| producer.send_result(record))?;
        Ok(DeliveryFuture::new(delivery, sending))
    }

    /// `send` of a [`BaseProducer`] or [`ThreadedProducer`] with the current context. The span ends when the record is in the queue: of
    /// the delivery it knows nothing. See [`deliver`](Self::deliver) for one that does.
    ///
    /// # Errors
    ///
    /// Those of the producer's `send`, with the record as it was.
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
        let ((), sending) = self.hand_over(record, |record| producer.enqueue(record))?;
        sending.hop.end(&Outcome::Unset);
        Ok(())
    }

    /// The same for a producer whose context is [`DeliverySpans`]: the span goes with the record, and ends with the delivery.
    ///
    /// # Errors
    ///
    /// Those of the producer's `send`, with the record as it was. Failed deliveries are told to the context.
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
        let mut sending = self.prepare(&mut record);
        loop {
            let (record_with_span, opaque) = take_opaque(record);
            match producer.enqueue(with_opaque(record_with_span, DeliverySpan::new(opaque, sending))) {
                Ok(()) => return Ok(()),
                Err((error, returned)) => {
                    let (rest, delivering) = take_opaque(returned);
                    let (opaque, back) = delivering.into_parts();
                    record = with_opaque(rest, opaque);
                    let Some(mut back) = back else { return Err((error, record)) };
                    if !(is_too_large(&error) && self.shed(&mut back, &mut record.headers)) {
                        back.failed(&error, &mut record.headers);
                        return Err((error, record));
                    }
                    sending = back;
                }
            }
        }
    }

    /// Puts the current context on a record that you send yourself: send it in the hop, and say how that went.
    pub fn prepare(&self, record: &mut impl Record) -> PreparedMessage {
        let (details, headers) = record.split();
        let mut carrier = HeadersCarrierMut::new(headers);
        let peer = Peer::kafka(details.topic);
        let sending = messaging::send(&self.propagator, &peer, &self.existing, &mut carrier, |hop| {
            self.client.describe(hop, Operation::SEND, details.topic);
            self.client.describe_record(hop, &details, &self.propagator);
        });
        PreparedMessage::new(sending, carrier.into_before())
    }

    /// Puts a record into a producer's queue, again without what was added where only that made it too large.
    fn hand_over<R: Record, T>(
        &self,
        mut record: R,
        send: impl Fn(R) -> Result<T, (KafkaError, R)>,
    ) -> Result<(T, PreparedMessage), (KafkaError, R)> {
        let mut sending = self.prepare(&mut record);
        loop {
            match sending.hop.in_scope(|| send(record)) {
                Ok(sent) => return Ok((sent, sending)),
                Err((error, returned)) => {
                    record = returned;
                    if !(is_too_large(&error) && self.shed(&mut sending, record.headers_mut())) {
                        sending.failed(&error, record.headers_mut());
                        return Err((error, record));
                    }
                }
            }
        }
    }

    /// Makes a record smaller that is too large, if something of ours is left on it.
    fn shed(&self, sending: &mut PreparedMessage, headers: &mut Option<rdkafka::message::OwnedHeaders>) -> bool {
        [Some(Priority::State), Some(Priority::Ids), None]
            .into_iter()
            .any(|least| sending.shed(headers, least, &self.propagator))
    }
}

/// What a [`BaseProducer`] says of a record: it is in the queue, or why not, and the record.
pub type EnqueueResult<'a, K, P, D> = Result<(), (KafkaError, BaseRecord<'a, K, P, D>)>;

/// The producers that answer once a record is in the queue: [`BaseProducer`] and [`ThreadedProducer`].
pub trait Enqueue<C, Part>: Sealed
where
    C: ProducerContext<Part>,
    Part: Partitioner,
{
    /// The producer's `send`.
    ///
    /// # Errors
    ///
    /// Those of the producer's `send`, with the record.
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
