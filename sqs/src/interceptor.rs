mod batch;
mod operation;
#[cfg(feature = "sns")]
mod publish;
#[cfg(feature = "eventbridge")]
mod put_events;
mod receive;
mod response;
mod send;
mod settle;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use aws_sdk_sqs::operation::{
    change_message_visibility::ChangeMessageVisibilityInput,
    change_message_visibility_batch::ChangeMessageVisibilityBatchInput, delete_message::DeleteMessageInput,
    delete_message_batch::DeleteMessageBatchInput, receive_message::ReceiveMessageInput,
    send_message::SendMessageInput, send_message_batch::SendMessageBatchInput,
};
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeSerializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
                FinalizerInterceptorContextRef, Input,
            },
            dyn_dispatch_hint,
        },
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use propagation_core::{
    Direction, Peer, Propagator, RejectReason, Rejection, StoredContext,
    messaging::{Destinations, ExistingContext},
};

use self::operation::{Covered, InFlight, StoredForCall};
use crate::{AttributeMode, SizeLimit};

/// An interceptor for SQS clients that sends, receives and settles messages in the current context.
///
/// ```
/// use aws_sdk_sqs::config::{BehaviorVersion, Config};
/// use propagation_core::Propagator;
/// use propagation_sqs::SqsInterceptor;
///
/// let config = Config::builder()
///     .behavior_version(BehaviorVersion::latest())
///     .interceptor(SqsInterceptor::new(Propagator::default()))
///     .build();
/// ```
///
/// | Operation | Span | Effect |
/// |---|---|---|
/// | `SendMessage` | `send {queue}`, PRODUCER; CLIENT if the message keeps an existing context | writes the context to the message |
/// | `SendMessageBatch` | `create {queue}`, PRODUCER, for each message; `send {queue}`, CLIENT, with links to them | writes its own context to each message |
/// | `ReceiveMessage` | `receive {queue}`, CLIENT, with links to the messages | requests the attributes of the context, and the time of sending |
/// | `DeleteMessage`, `ChangeMessageVisibility`, and their batches | `delete {queue}`, `change_visibility {queue}`, CLIENT | links to messages that this interceptor has received |
///
/// A span covers a call with all its attempts. The interceptor never makes a call fail. Calls that manage queues make no span. Any
/// other call, and calls of other services, are counted as [`RejectReason::UnsupportedOperation`] and logged once for each operation.
#[derive(Clone, Debug)]
pub struct SqsInterceptor {
    propagator: Propagator,
    options: Options,
    known: Destinations,
    /// The operations that were logged as not covered.
    uncovered: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Clone, Debug)]
struct Options {
    existing: ExistingContext,
    mode: AttributeMode,
    limit: SizeLimit,
    create_spans: bool,
    receive_spans: bool,
    settle_spans: bool,
    #[cfg(feature = "envelopes")]
    envelopes: bool,
}

impl SqsInterceptor {
    /// Creates an interceptor with separate attributes, [`ExistingContext::Keep`] and the size limit of SQS.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        let options = Options {
            existing: ExistingContext::default(),
            mode: AttributeMode::default(),
            limit: SizeLimit::default(),
            create_spans: true,
            receive_spans: true,
            settle_spans: true,
            #[cfg(feature = "envelopes")]
            envelopes: false,
        };
        Self { propagator, options, known: Destinations::default(), uncovered: Arc::default() }
    }

    /// Sets the treatment of a context that a message already carries.
    #[must_use]
    pub fn existing(mut self, existing: impl Into<ExistingContext>) -> Self {
        self.options.existing = existing.into();
        self
    }

    /// Returns an interceptor for one call whose messages get a context that the application stored itself.
    ///
    /// For an outbox relay. Such a context is trusted also inside the hop of an untrusted caller. The interceptor takes precedence
    /// over the client's own.
    ///
    /// ```no_run
    /// # async fn relay(client: aws_sdk_sqs::Client, propagation: propagation_sqs::SqsInterceptor, row: propagation_core::StoredContext) {
    /// let call = client.send_message().queue_url("https://sqs.us-east-1.amazonaws.com/123456789012/orders").message_body("{}");
    /// let sent = call.customize().interceptor(propagation.with_stored(row)).send().await;
    /// # let _ = sent;
    /// # }
    /// ```
    #[must_use]
    pub fn with_stored(&self, stored: StoredContext) -> Self {
        self.clone().existing(stored)
    }

    /// Sets the place of the context on a message.
    #[must_use]
    pub fn attribute_mode(mut self, mode: AttributeMode) -> Self {
        self.options.mode = mode;
        self
    }

    /// Sets the most bytes of a message and of a batch: the smallest `MaximumMessageSize` of the queues that this client sends to.
    #[must_use]
    pub fn size_limit(mut self, limit: SizeLimit) -> Self {
        self.options.limit = limit;
        self
    }

    /// Makes a create span, and with it a separate context, for each message of a batch. On by default.
    ///
    /// Without create spans, all messages of a batch carry the context of the send span.
    #[must_use]
    pub fn with_create_spans(mut self, create: bool) -> Self {
        self.options.create_spans = create;
        self
    }

    /// Makes a span for each receive call. On by default: a consumer that polls an empty queue makes a span for each poll.
    #[must_use]
    pub fn with_receive_spans(mut self, receive: bool) -> Self {
        self.options.receive_spans = receive;
        self
    }

    /// Makes spans for deleting messages and changing their visibility. On by default.
    #[must_use]
    pub fn with_settle_spans(mut self, settle: bool) -> Self {
        self.options.settle_spans = settle;
        self
    }

    /// Also links receive spans to contexts in envelopes in message bodies. Off by default.
    ///
    /// See [`ConsumerPropagation::with_envelopes`](crate::ConsumerPropagation::with_envelopes) for the condition.
    #[cfg(feature = "envelopes")]
    #[must_use]
    pub fn with_envelopes(mut self, read: bool) -> Self {
        self.options.envelopes = read;
        self
    }

    fn before(&self, input: &mut Input, stored: Option<&StoredForCall>) -> Covered {
        let existing = stored.map_or(&self.options.existing, |StoredForCall(existing)| existing);
        if let Some(send) = input.downcast_mut::<SendMessageInput>() {
            return self.send(send, existing);
        }
        if let Some(batch) = input.downcast_mut::<SendMessageBatchInput>() {
            return self.send_batch(batch, existing);
        }
        if let Some(receive) = input.downcast_mut::<ReceiveMessageInput>() {
            return self.receive(receive);
        }
        if let Some(delete) = input.downcast_ref::<DeleteMessageInput>() {
            return self.settle("delete", delete.queue_url(), delete.receipt_handle());
        }
        if let Some(delete) = input.downcast_ref::<DeleteMessageBatchInput>() {
            let handles: Vec<_> = delete.entries().iter().map(DeleteMessageBatchRequestEntry::receipt_handle).collect();
            return self.settle_batch("delete", delete.queue_url(), &handles);
        }
        if let Some(change) = input.downcast_ref::<ChangeMessageVisibilityInput>() {
            return self.settle("change_visibility", change.queue_url(), change.receipt_handle());
        }
        if let Some(change) = input.downcast_ref::<ChangeMessageVisibilityBatchInput>() {
            let handles: Vec<_> =
                change.entries().iter().map(ChangeMessageVisibilityBatchRequestEntry::receipt_handle).collect();
            return self.settle_batch("change_visibility", change.queue_url(), &handles);
        }
        self.before_notification(input, existing)
    }

    /// Handles the operations of other services that send to queues.
    #[cfg_attr(
        not(any(feature = "eventbridge", feature = "sns")),
        allow(unused_variables, clippy::unused_self, reason = "the signature is independent of the features")
    )]
    fn before_notification(&self, input: &mut Input, existing: &ExistingContext) -> Covered {
        #[cfg(feature = "sns")]
        if let Some(publish) = input.downcast_mut::<aws_sdk_sns::operation::publish::PublishInput>() {
            return self.publish(publish, existing);
        }
        #[cfg(feature = "sns")]
        if let Some(batch) = input.downcast_mut::<aws_sdk_sns::operation::publish_batch::PublishBatchInput>() {
            return self.publish_batch(batch, existing);
        }
        #[cfg(feature = "eventbridge")]
        if let Some(events) = input.downcast_mut::<aws_sdk_eventbridge::operation::put_events::PutEventsInput>() {
            return self.put_events(events, existing);
        }
        Covered::No
    }

    /// Counts and logs an unknown operation that may carry messages, because it breaks traces.
    fn not_covered(&self, metadata: Option<&Metadata>) {
        let (service, name) = metadata.map_or(("", ""), |metadata| (metadata.service(), metadata.name()));
        if operation::carries_no_messages(service, name) {
            return;
        }
        let rejection = Rejection::new("traceparent", RejectReason::UnsupportedOperation);
        self.propagator.record_rejection(Direction::Outbound, &Peer::sqs(""), &rejection);
        let first = match self.uncovered.lock() {
            Ok(mut logged) => logged.len() < 64 && logged.insert(format!("{service}.{name}")),
            Err(_) => false,
        };
        if first {
            tracing::warn!(
                target: "propagation",
                service,
                operation = name,
                reason = RejectReason::UnsupportedOperation.as_str(),
                "operation carries no context: it is not covered by SqsInterceptor, or the client uses another major version of aws-sdk-sqs"
            );
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for SqsInterceptor {
    fn name(&self) -> &'static str {
        "SqsInterceptor"
    }

    /// Stores the context for the client's own interceptor, which changes the request before this one does.
    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if matches!(self.options.existing, ExistingContext::Stored(_)) {
            cfg.interceptor_state().store_put(StoredForCall(self.options.existing.clone()));
        }
        Ok(())
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // If the interceptor is registered twice, only the first one acts.
        if !self.propagator.is_enabled() || cfg.load::<InFlight>().is_some() {
            return Ok(());
        }
        match self.before(context.input_mut(), cfg.load::<StoredForCall>()) {
            Covered::With(in_flight) => {
                cfg.interceptor_state().store_put(in_flight);
            }
            Covered::No => self.not_covered(cfg.load::<Metadata>()),
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(in_flight) = cfg.load::<InFlight>() {
            self.after(in_flight, context.output_or_error());
        }
        Ok(())
    }
}
