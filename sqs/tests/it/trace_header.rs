//! `AWSTraceHeader`, derived from the released trace context.

use aws_sdk_sqs::{
    operation::send_message::SendMessageInput, types::MessageSystemAttributeNameForSends::AwsTraceHeader,
};
use propagation_core::{
    Extract, FieldName, FieldNames, Format, OutboundRule, OutgoingFields, Peer, Policy, PropagationContext, Propagator,
    SamplingDecision, TraceContext,
    carrier::{FieldPriority, FieldValue},
    format::Extracted,
};
use propagation_sqs::{AttributeMode, MessageCarrierMut, SizeLimit};

use crate::setup::{PARENT, XRAY};

static ACME: FieldName = FieldName::from_static("x-acme-trace");

/// A format that this crate does not know.
#[derive(Debug)]
struct Acme;

impl Format for Acme {
    fn name(&self) -> &'static str {
        "acme"
    }

    fn extract(&self, _: &dyn Extract, _: &mut Extracted) {}

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        if let Some(parent) = context.trace.parent_to_write() {
            let text = format!("acme/{}/{}", parent.span_id, parent.trace_id);
            fields.push(&ACME, FieldValue::from(text.into_bytes()), FieldPriority::Ids);
        }
    }

    fn fields(&self, names: &mut FieldNames) {
        names.declare(&ACME);
    }
}

fn header(propagator: &Propagator, trace: TraceContext) -> Option<String> {
    let mut message = SendMessageInput::builder().queue_url("orders").message_body("{}").build().unwrap();
    let mut carrier = MessageCarrierMut::new(&mut message, AttributeMode::XRay, SizeLimit::DEFAULT);
    let report = propagator.inject(&Peer::sqs("orders"), &PropagationContext::new(trace), &mut carrier);
    let header = message.message_system_attributes.unwrap_or_default().remove(&AwsTraceHeader);
    let header = header.and_then(|value| value.string_value);
    assert_eq!(report.is_written("AWSTraceHeader"), header.is_some());
    header
}

fn parent() -> TraceContext {
    TraceContext::new(PARENT.parse().unwrap())
}

#[test]
fn trace_header_carries_ids_of_a_custom_format() {
    let propagator = Propagator::builder().inject_formats(vec![Box::new(Acme)]).build();
    assert_eq!(header(&propagator, parent()).as_deref(), Some(XRAY));
}

#[test]
fn trace_header_omits_an_undecided_sampling() {
    let trace = parent().with_sampling(SamplingDecision::Defer);
    let expected = XRAY.trim_end_matches(";Sampled=1");
    assert_eq!(header(&Propagator::default(), trace).as_deref(), Some(expected));
}

#[test]
fn trace_header_has_the_parent_id_of_traceparent() {
    let trace = TraceContext::from_trace_id(parent().trace_id().unwrap());
    let written = trace.parent_to_write().unwrap().span_id;
    let expected = format!("Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent={written}");
    assert_eq!(header(&Propagator::default(), trace), Some(expected));
}

#[test]
fn trace_header_is_withheld_with_the_trace_context() {
    let rule = OutboundRule::peers(["sqs:*"]).trace_context(false);
    let policy = Policy::builder().outbound(rule).build().unwrap();
    assert_eq!(header(&Propagator::builder().policy(policy).build(), parent()), None);
}

#[test]
fn trace_header_is_not_written_without_id_fields() {
    let formats = "baggage".parse::<propagation_core::Formats>().unwrap();
    assert_eq!(header(&Propagator::builder().formats(formats).build(), parent()), None);
}
