//! W3C Baggage.

use crate::{
    Baggage, Extract, Extracted, FieldName, FieldNames, FieldPriority, Format, OutgoingFields, PropagationContext,
    Rejection, carrier::Joined,
};

static BAGGAGE: FieldName = FieldName::from_static("baggage");

/// `baggage` of W3C Baggage (`baggage` in `OTEL_PROPAGATORS`). Lives without a `traceparent`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BaggageFormat;

impl Format for BaggageFormat {
    fn name(&self) -> &'static str {
        "baggage"
    }

    fn extract(&self, from: &dyn Extract, into: &mut Extracted) {
        let joined = Joined::read(from, &BAGGAGE, Baggage::MAX_BYTES);
        if joined.is_none() {
            return;
        }
        let mut refused = |key: &[u8], reason| into.reject(Rejection::new("baggage", reason).with_key(key));
        let text = joined.as_bytes();
        let baggage = Baggage::read(text, || joined.to_text(), &mut refused);
        into.merge_baggage(baggage);
    }

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        if !context.baggage.is_empty() {
            fields.push(&BAGGAGE, context.baggage.to_text(), FieldPriority::Baggage);
        }
    }

    fn fields(&self, names: &mut FieldNames) {
        names.declare(&BAGGAGE);
    }
}
