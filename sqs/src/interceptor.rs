mod answer;
mod operation;
mod receive;
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
use propagation_core::{Direction, Propagator, Reason, StoredContext, messaging::ExistingContext};

use self::operation::{Covered, InFlight, StoredForCall};
use crate::{AttributeMode, SizeLimit};

/// Sends, receives and settles in the current context: an interceptor for the configuration of an SQS client.
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
/// | Operation | Span | What else |
/// |---|---|---|
/// | `SendMessage` | `send {queue}`, PRODUCER; CLIENT where the message keeps a context that it had | the context goes onto the message |
/// | `SendMessageBatch` | `create {queue}`, PRODUCER, for each message; `send {queue}`, CLIENT, with links to them | each message gets its own |
/// | `ReceiveMessage` | `receive {queue}`, CLIENT, with links to the messages | asks for the attributes that hold the context, and for the time of sending |
/// | `DeleteMessage`, `ChangeMessageVisibility`, and their batches | `delete {queue}`, `change_visibility {queue}`, CLIENT | linked to messages that this interceptor has received |
///
/// A span covers the whole call with all its attempts. Nothing here makes a call fail, whatever becomes of the context. Calls
/// that make and manage queues pass without a span; any other call, and one of another service, is counted as
/// [`Reason::NotCovered`] and said once.
#[derive(Clone, Debug)]
pub struct SqsInterceptor {
    propagator: Propagator,
    options: Options,
    /// The operations that were warned of.
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
    /// With separate attributes, [`ExistingContext::Keep`] and the size limit of SQS.
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
        Self { propagator, options, uncovered: Arc::default() }
    }

    /// What happens to a context that a message already carries.
    #[must_use]
    pub fn existing(mut self, existing: impl Into<ExistingContext>) -> Self {
        self.options.existing = existing.into();
        self
    }

    /// Returns an interceptor for one call whose messages get this context, which the application has stored itself: an outbox relay,
    /// also inside the hop of a caller whose own context is not trusted. It takes precedence over the client's own interceptor.
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

    /// Where on a message the context goes.
    #[must_use]
    pub fn attribute_mode(mut self, mode: AttributeMode) -> Self {
        self.options.mode = mode;
        self
    }

    /// The most bytes of a message and of a batch: the smallest `MaximumMessageSize` of the queues that this client sends to.
    #[must_use]
    pub fn size_limit(mut self, limit: SizeLimit) -> Self {
        self.options.limit = limit;
        self
    }

    /// Whether each message of a batch gets a create span of its own (the default), and with it a context of its own. Without them
    /// all messages of a batch carry the context of the send span.
    #[must_use]
    pub fn with_create_spans(mut self, create: bool) -> Self {
        self.options.create_spans = create;
        self
    }

    /// Whether receiving makes spans (the default). A consumer that polls an empty queue makes one for each poll.
    #[must_use]
    pub fn with_receive_spans(mut self, receive: bool) -> Self {
        self.options.receive_spans = receive;
        self
    }

    /// Whether deleting messages and changing their visibility makes spans (the default).
    #[must_use]
    pub fn with_settle_spans(mut self, settle: bool) -> Self {
        self.options.settle_spans = settle;
        self
    }

    /// Whether receive spans also link to what envelopes in message bodies say.
    /// [`ConsumerPropagation::with_envelopes`](crate::ConsumerPropagation::with_envelopes) says when that is safe.
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
        Covered::No
    }

    /// An operation that may carry messages and that is not covered must not break traces in silence.
    fn not_covered(&self, metadata: Option<&Metadata>) {
        let (service, name) = metadata.map_or(("", ""), |metadata| (metadata.service(), metadata.name()));
        if service == "SQS" && operation::carries_no_messages(name) {
            return;
        }
        self.propagator.count(Direction::Outbound, Reason::NotCovered);
        let first = match self.uncovered.lock() {
            Ok(mut said) => said.len() < 64 && said.insert(format!("{service}.{name}")),
            Err(_) => false,
        };
        if first {
            tracing::warn!(
                target: "propagation",
                service,
                operation = name,
                reason = Reason::NotCovered.as_str(),
                "carries no context: the operation is not covered, or the client is of another version of aws-sdk-sqs"
            );
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for SqsInterceptor {
    fn name(&self) -> &'static str {
        "SqsInterceptor"
    }

    /// Leaves a stored context where the client's own interceptor, whose turn to change the call comes first, finds it.
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
        // Registered twice, it must not send twice.
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
