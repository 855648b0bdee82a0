use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use propagation_core::{Extract, FieldName, StoredContext, TraceContext, Value};

use super::reading::Reading;

/// A received message.
///
/// An attribute counts before what the packed attribute says, that before an envelope in the body (only
/// on request: feature `envelopes`), and `AWSTraceHeader` counts where no other place has a
/// `traceparent`. Text and binary attributes show their bytes.
#[derive(Clone)]
pub struct MessageCarrier<'a> {
    message: &'a Message,
    reading: Reading,
}

/// Prints no values: they may be personal.
impl std::fmt::Debug for MessageCarrier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageCarrier").finish_non_exhaustive()
    }
}

impl<'a> MessageCarrier<'a> {
    /// A message, as it was received.
    #[must_use]
    pub fn new(message: &'a Message) -> Self {
        Self::with(message, None)
    }

    /// The same, with what an envelope in its body carries: SNS, EventBridge.
    ///
    /// Only for queues to which nobody can send whose word on a trace you would not take: who writes the body writes
    /// the context.
    #[cfg(feature = "envelopes")]
    #[must_use]
    pub fn with_envelope(message: &'a Message) -> Self {
        Self::with(message, message.body().and_then(crate::envelope::read))
    }

    fn with(message: &'a Message, envelope: Option<StoredContext>) -> Self {
        let header = message.attributes().and_then(|system| system.get(&MessageSystemAttributeName::AwsTraceHeader));
        let reading = Reading::new(message.message_attributes(), header.map(String::as_str), envelope);
        Self { message, reading }
    }
}

impl Extract for MessageCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        self.reading.each(self.message.message_attributes(), name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.reading.each_of_all(self.message.message_attributes(), each);
    }

    fn root_trace(&self) -> Option<TraceContext> {
        self.reading.root()
    }
}
