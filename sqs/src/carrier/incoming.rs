use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use propagation_core::{Extract, FieldName, StoredContext, TraceContext, Value};

use super::fields::MessageFields;

/// A received message.
///
/// In order of precedence: attributes, the packed attribute, an envelope in the body (only with
/// `with_envelope` of the feature `envelopes`), and `AWSTraceHeader` if no other place has a
/// `traceparent`. Text and binary attributes read as their bytes.
#[derive(Clone)]
pub struct MessageCarrier<'a> {
    message: &'a Message,
    fields: MessageFields,
}

/// Prints no values: they may be personal.
impl std::fmt::Debug for MessageCarrier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageCarrier").finish_non_exhaustive()
    }
}

impl<'a> MessageCarrier<'a> {
    /// Creates a carrier of a received message.
    #[must_use]
    pub fn new(message: &'a Message) -> Self {
        Self::with(message, None)
    }

    /// Like [`new`](Self::new), but also reads an envelope of SNS or EventBridge in the body.
    ///
    /// Only for queues that such a service alone fills: the author of the body chooses the context.
    #[cfg(feature = "envelopes")]
    #[must_use]
    pub fn with_envelope(message: &'a Message) -> Self {
        Self::with(message, message.body().and_then(crate::envelope::read))
    }

    fn with(message: &'a Message, envelope: Option<StoredContext>) -> Self {
        let header = message.attributes().and_then(|system| system.get(&MessageSystemAttributeName::AwsTraceHeader));
        let fields = MessageFields::new(message.message_attributes(), header.map(String::as_str), envelope);
        Self { message, fields }
    }
}

impl Extract for MessageCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        self.fields.visit(self.message.message_attributes(), name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.fields.visit_all(self.message.message_attributes(), each);
    }

    fn root_trace(&self) -> Option<TraceContext> {
        self.fields.root()
    }
}
