use std::collections::HashMap;

use aws_sdk_sns::types::MessageAttributeValue as SnsAttribute;
use aws_sdk_sqs::types::MessageAttributeValue;
use propagation_core::{Extract, FieldName, Inject, InjectionReport, OutgoingFields, TraceContext, Value};

use super::{MessageCarrierMut, fields::MessageFields};
use crate::{AttributeMode, SizeLimit};

/// A notification that is about to be published to a topic of SNS.
///
/// Uses the same slots, bytes and modes as a message of SQS, because a queue that subscribes with raw delivery gets the attributes
/// as its own. SNS has no `AWSTraceHeader` for ids without room.
pub struct NotificationCarrierMut<'a> {
    target: &'a mut Option<HashMap<String, SnsAttribute>>,
    attributes: Option<HashMap<String, MessageAttributeValue>>,
    found: MessageFields,
    body: usize,
    mode: AttributeMode,
    limit: SizeLimit,
}

/// Prints no values: they may be personal data.
impl std::fmt::Debug for NotificationCarrierMut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotificationCarrierMut").finish_non_exhaustive()
    }
}

impl<'a> NotificationCarrierMut<'a> {
    /// Creates a carrier of a notification's attributes. `body` is the size of message and subject in bytes.
    #[must_use]
    pub fn new(
        attributes: &'a mut Option<HashMap<String, SnsAttribute>>,
        body: usize,
        mode: AttributeMode,
        limit: SizeLimit,
    ) -> Self {
        let copied = attributes.as_ref().map(|attributes| {
            attributes.iter().filter_map(|(name, value)| Some((name.clone(), of_sqs(value)?))).collect()
        });
        let found = MessageFields::new(copied.as_ref(), None, None);
        Self { target: attributes, attributes: copied, found, body, mode, limit }
    }
}

impl Extract for NotificationCarrierMut<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        self.found.visit(self.attributes.as_ref(), name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.found.visit_all(self.attributes.as_ref(), each);
    }
}

impl Inject for NotificationCarrierMut<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, trace: &TraceContext) -> InjectionReport {
        let mut none = None;
        let mut message =
            MessageCarrierMut::without_trace_header(&mut self.attributes, &mut none, self.body, self.mode, self.limit);
        let report = message.commit(fields, trace);
        self.found = MessageFields::new(self.attributes.as_ref(), None, None);
        let attributes = self.attributes.iter().flatten();
        let attributes: HashMap<_, _> =
            attributes.filter_map(|(name, value)| Some((name.clone(), of_sns(value)?))).collect();
        *self.target = Some(attributes).filter(|attributes| self.target.is_some() || !attributes.is_empty());
        report
    }
}

fn of_sqs(value: &SnsAttribute) -> Option<MessageAttributeValue> {
    MessageAttributeValue::builder()
        .data_type(value.data_type())
        .set_string_value(value.string_value.clone())
        .set_binary_value(value.binary_value.clone())
        .build()
        .ok()
}

fn of_sns(value: &MessageAttributeValue) -> Option<SnsAttribute> {
    SnsAttribute::builder()
        .data_type(value.data_type())
        .set_string_value(value.string_value.clone())
        .set_binary_value(value.binary_value.clone())
        .build()
        .ok()
}
