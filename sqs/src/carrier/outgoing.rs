use std::{borrow::Cow, collections::HashMap, sync::OnceLock};

use aws_sdk_sqs::{
    operation::send_message::SendMessageInput,
    types::{
        MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
        SendMessageBatchRequestEntry,
    },
};
use propagation_core::{
    Extract, FieldName, Inject, InjectionReport, OutgoingFields, RejectReason, StoredContext, TraceContext,
    TraceParent, Value,
    carrier::{Field, FieldPriority},
    format::XRayFormat,
};

use super::{
    PACKED_ATTRIBUTE, TRACE_HEADER,
    fields::MessageFields,
    limits::{self, DATA_TYPE, SLOTS, attribute_size},
};
use crate::{AttributeMode, SizeLimit};

/// A message to be sent: [`SendMessageInput`] or an entry of a batch. Sealed.
pub trait OutgoingMessage: sealed::Sealed {
    #[doc(hidden)]
    fn parts(&mut self) -> sealed::Parts<'_>;
}

mod sealed {
    use std::collections::HashMap;

    use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue};

    pub trait Sealed {}

    /// The fields that both types share.
    #[expect(missing_debug_implementations, reason = "never printed: it holds values")]
    pub struct Parts<'a> {
        pub(super) attributes: &'a mut Option<HashMap<String, MessageAttributeValue>>,
        pub(super) system: &'a mut Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>>,
        /// The body's size in bytes.
        pub(super) body: usize,
    }
}

use sealed::Parts;

impl sealed::Sealed for SendMessageInput {}

impl OutgoingMessage for SendMessageInput {
    fn parts(&mut self) -> Parts<'_> {
        Parts {
            body: self.message_body.as_ref().map_or(0, String::len),
            attributes: &mut self.message_attributes,
            system: &mut self.message_system_attributes,
        }
    }
}

impl sealed::Sealed for SendMessageBatchRequestEntry {}

impl OutgoingMessage for SendMessageBatchRequestEntry {
    fn parts(&mut self) -> Parts<'_> {
        Parts {
            body: self.message_body.len(),
            attributes: &mut self.message_attributes,
            system: &mut self.message_system_attributes,
        }
    }
}

/// A message that is about to be sent, alone or in a batch.
///
/// Uses the slots and bytes that the user's own attributes leave: ids first, then tracestate (truncated by whole members), then
/// baggage. Absent fields take no slot. Ids without room go into `AWSTraceHeader`. An existing `AWSTraceHeader` is replaced if it
/// names another trace than the written ids.
pub struct MessageCarrierMut<'a> {
    attributes: &'a mut Option<HashMap<String, MessageAttributeValue>>,
    system: &'a mut Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>>,
    body: usize,
    mode: AttributeMode,
    limit: SizeLimit,
    /// The fields that the message has, once they were read.
    found: OnceLock<MessageFields>,
    /// Whether the service has a trace header beside the attributes.
    has_header: bool,
}

/// Prints no values: they may be personal.
impl std::fmt::Debug for MessageCarrierMut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageCarrierMut").finish_non_exhaustive()
    }
}

impl<'a> MessageCarrierMut<'a> {
    /// Creates a carrier of a message that is sent alone or in a batch.
    ///
    /// A queue's size limit holds for all messages of a batch together, so `limit` is this message's share.
    #[must_use]
    pub fn new(message: &'a mut impl OutgoingMessage, mode: AttributeMode, limit: SizeLimit) -> Self {
        let Parts { attributes, system, body } = message.parts();
        Self { attributes, system, body, mode, limit, found: OnceLock::new(), has_header: true }
    }

    /// Creates a carrier of a message of a service that has attributes, but no trace header.
    #[cfg(feature = "sns")]
    pub(super) fn without_trace_header(
        attributes: &'a mut Option<HashMap<String, MessageAttributeValue>>,
        system: &'a mut Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>>,
        body: usize,
        mode: AttributeMode,
        limit: SizeLimit,
    ) -> Self {
        Self { attributes, system, body, mode, limit, found: OnceLock::new(), has_header: false }
    }

    fn found(&self) -> &MessageFields {
        self.found.get_or_init(|| MessageFields::new(self.attributes.as_ref(), header(self.system.as_ref()), None))
    }

    /// Plans an injection beside this number and size of attributes that are kept.
    fn plan(&self, fields: &OutgoingFields<'_>, (kept, size): (usize, usize)) -> Plan {
        let taken = self.body.saturating_add(size);
        let room =
            Room { slots: SLOTS.saturating_sub(kept), bytes: self.limit.for_own_size(taken).saturating_sub(taken) };
        match self.mode {
            AttributeMode::Separate => Plan::separate(fields, room),
            AttributeMode::Packed => Plan::packed(fields, room),
            AttributeMode::XRay => Plan::nothing(fields, RejectReason::Unrepresentable),
            AttributeMode::Auto => {
                let separate = Plan::separate(fields, room);
                let packed = if separate.rejected.is_empty() { None } else { Some(Plan::packed(fields, room)) };
                packed.filter(|packed| packed.rejected.len() < separate.rejected.len()).unwrap_or(separate)
            }
        }
    }

    /// Makes `AWSTraceHeader` agree with the written fields. Returns `true` if it carries the ids.
    fn settle_header(&mut self, fields: &OutgoingFields<'_>, trace: &TraceContext, ids_have_room: bool) -> bool {
        let own = fields.iter().find(|field| field.name().as_str() == TRACE_HEADER);
        let existing = header(self.system.as_ref());
        let needed = fields.iter().any(is_id) && (existing.is_some() || !ids_have_room);
        let text = match (own, trace.parent_to_write()) {
            (Some(field), _) => Some(field.value_str().to_owned()),
            (None, Some(parent)) if needed => match existing.filter(|header| names(header, &parent)) {
                Some(header) => Some(header.to_owned()),
                // With the parent-id of the written fields, also if the trace has none of its own.
                None => XRayFormat::format(&TraceContext::new(parent).with_sampling(trace.sampling)),
            },
            _ => None,
        };
        let value = text.and_then(|text| {
            MessageSystemAttributeValue::builder().data_type(DATA_TYPE).string_value(text).build().ok()
        });
        let written = value.is_some();
        match value {
            Some(value) => {
                self.system.get_or_insert_default().insert(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
            }
            None => {
                if let Some(system) = self.system {
                    system.remove(&MessageSystemAttributeNameForSends::AwsTraceHeader);
                }
            }
        }
        written
    }
}

fn header(system: Option<&HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>>) -> Option<&str> {
    system?.get(&MessageSystemAttributeNameForSends::AwsTraceHeader)?.string_value()
}

/// Returns `true` if a trace header has these ids.
fn names(header: &str, parent: &TraceParent) -> bool {
    let ids = |parent: &TraceParent| (parent.trace_id, parent.span_id);
    XRayFormat::parse(header.as_bytes())
        .ok()
        .and_then(|trace| trace.parent)
        .is_some_and(|there| ids(&there) == ids(parent))
}

impl Extract for MessageCarrierMut<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        self.found().visit(self.attributes.as_ref(), name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.found().visit_all(self.attributes.as_ref(), each);
    }

    fn root_trace(&self) -> Option<TraceContext> {
        self.found().root()
    }
}

impl Inject for MessageCarrierMut<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, trace: &TraceContext) -> InjectionReport {
        let kept = limits::kept(self.attributes.as_ref(), fields.names());
        let Plan { entries, written: mut report, rejected } = self.plan(fields, kept);
        let ids = |name: &str| fields.iter().any(|field| field.name().as_str() == name && is_id(field));
        let ids_have_room = !rejected.iter().any(|(name, _)| ids(name.as_str()));
        let in_header = self.has_header && self.settle_header(fields, trace, ids_have_room);
        for (name, reason) in &rejected {
            let carried = in_header && (name.as_str() == TRACE_HEADER || ids(name.as_str()));
            if !carried {
                report.record_rejected(name, *reason);
            }
        }
        if in_header {
            report.record_derived("AWSTraceHeader");
        }

        if let Some(attributes) = self.attributes
            && attributes.len() > kept.0
        {
            attributes.retain(|name, _| !limits::is_ours(name, fields.names()));
        }
        if !entries.is_empty() {
            self.attributes.get_or_insert_default().extend(entries);
        }
        self.found = OnceLock::new();
        report
    }
}

fn is_id(field: &Field) -> bool {
    field.priority() == FieldPriority::Ids
}

/// The free slots and bytes of a message.
#[derive(Clone, Copy)]
struct Room {
    slots: usize,
    bytes: usize,
}

/// The attributes to write, computed before the message is changed.
struct Plan {
    entries: Vec<(String, MessageAttributeValue)>,
    written: InjectionReport,
    rejected: Vec<(FieldName, RejectReason)>,
}

impl Plan {
    fn nothing(fields: &OutgoingFields<'_>, reason: RejectReason) -> Self {
        let rejected = fields.iter().map(|field| (field.name().clone(), reason)).collect();
        Self { entries: Vec::new(), written: InjectionReport::new(), rejected }
    }

    fn separate(fields: &OutgoingFields<'_>, mut room: Room) -> Self {
        let cost = |field: &Field| attribute_size(field.name().as_str(), field.value().len());
        let (fields, truncated) = within(fields, room.bytes, cost);
        let mut fitting = Fitting::default();
        let mut entries = Vec::with_capacity(fields.len());
        let written = fitting.choose(&fields, |field| {
            let name = field.name().as_str();
            let cost = cost(field);
            if !limits::is_legal_name(name) {
                return Err(RejectReason::Unrepresentable);
            }
            if room.slots == 0 || cost > room.bytes {
                return Err(RejectReason::TooLarge);
            }
            entries.push((name.to_owned(), attribute(field.value_str()).ok_or(RejectReason::Unrepresentable)?));
            room = Room { slots: room.slots - 1, bytes: room.bytes - cost };
            Ok(())
        });
        fitting.note(truncated, &written);
        Self { entries, written, rejected: fitting.rejected }
    }

    fn packed(fields: &OutgoingFields<'_>, room: Room) -> Self {
        let overhead = attribute_size(PACKED_ATTRIBUTE, 0);
        let mut bytes = if room.slots == 0 { 0 } else { room.bytes.saturating_sub(overhead) };
        // The name, a colon, the value, a line break.
        let cost = |field: &Field| field.name().as_str().len() + 1 + field.value().len() + 1;
        let (chosen, truncated) = within(fields, bytes, cost);
        let mut fitting = Fitting::default();
        let mut chosen = chosen.into_owned();
        let written = fitting.choose(&chosen, |field| {
            // A line break would split the value.
            if !limits::is_legal_value(field.value_str()) || field.value_str().contains('\n') {
                return Err(RejectReason::Unrepresentable);
            }
            bytes = bytes.checked_sub(cost(field)).ok_or(RejectReason::TooLarge)?;
            Ok(())
        });
        chosen.retain_fitting(|field| written.is_written(field.name().as_str()));
        fitting.note(truncated, &written);
        let mut stored = StoredContext::new();
        stored.commit(&chosen, &TraceContext::EMPTY);
        let value = if chosen.is_empty() { None } else { attribute(&stored.to_string()) };
        match value {
            Some(value) => {
                Self { entries: vec![(PACKED_ATTRIBUTE.to_owned(), value)], written, rejected: fitting.rejected }
            }
            None => Self::nothing(fields, RejectReason::TooLarge),
        }
    }
}

/// Truncates `tracestate` by whole members to the room beside the ids. Returns the fields, and its name if it was truncated.
fn within<'f, 'n>(
    fields: &'f OutgoingFields<'n>,
    room: usize,
    cost: impl Fn(&Field) -> usize,
) -> (Cow<'f, OutgoingFields<'n>>, Option<FieldName>) {
    // `AWSTraceHeader` takes no size.
    let cost = |field: &Field| if field.name().as_str() == TRACE_HEADER { 0 } else { cost(field) };
    if fields.iter().map(&cost).fold(0, usize::saturating_add) <= room {
        return (Cow::Borrowed(fields), None);
    }
    let mut fields = fields.clone();
    let truncated = fields.truncate_state(room, cost);
    (Cow::Owned(fields), truncated)
}

/// Selects fields that fit, the most important first.
#[derive(Default)]
struct Fitting {
    rejected: Vec<(FieldName, RejectReason)>,
}

impl Fitting {
    /// Counts a field that is written without some of its members.
    fn note(&mut self, truncated: Option<FieldName>, written: &InjectionReport) {
        let truncated = truncated.filter(|name| written.is_written(name.as_str()));
        self.rejected.extend(truncated.map(|name| (name, RejectReason::TooLarge)));
    }

    /// Reports the fields that fit. State is useless without its ids, so it is dropped with them.
    fn choose(
        &mut self,
        fields: &OutgoingFields<'_>,
        mut fits: impl FnMut(&Field) -> Result<(), RejectReason>,
    ) -> InjectionReport {
        let mut ids_fit = true;
        let mut chosen = InjectionReport::new();
        let order = [FieldPriority::Ids, FieldPriority::State, FieldPriority::Baggage];
        for field in order.into_iter().flat_map(|next| fields.iter().filter(move |field| field.priority() == next)) {
            let fit = match field.priority() {
                // `AWSTraceHeader` takes no slot and no size.
                _ if field.name().as_str() == TRACE_HEADER => Err(RejectReason::Unrepresentable),
                FieldPriority::State if !ids_fit => Err(RejectReason::TooLarge),
                _ => fits(field),
            };
            match fit {
                Ok(()) => chosen.record_written(field.name()),
                Err(reason) => {
                    ids_fit &= !is_id(field) || field.name().as_str() == TRACE_HEADER;
                    self.rejected.push((field.name().clone(), reason));
                }
            }
        }
        chosen
    }
}

fn attribute(value: &str) -> Option<MessageAttributeValue> {
    if !limits::is_legal_value(value) {
        return None;
    }
    MessageAttributeValue::builder().data_type(DATA_TYPE).string_value(value).build().ok()
}
