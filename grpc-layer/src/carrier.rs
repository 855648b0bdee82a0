use http::HeaderMap;
use propagation_core::{
    Extract, FieldName, FieldNames, Inject, InjectionReport, OutgoingFields, Peer, PropagationContext, Propagator,
    RejectReason, TraceContext, Value,
    carrier::{Field, NameFilter},
};
use propagation_http::{HeaderCarrier, HeaderCarrierMut};

/// The metadata of a received call.
///
/// ```
/// use propagation_core::{Peer, Propagator, Transport};
/// use propagation_grpc::MetadataCarrier;
/// use tonic::Request;
///
/// let request = Request::new(());
/// let carrier = MetadataCarrier::new(request.metadata().as_ref());
/// let admission = Propagator::default().extract(&Peer::caller(Transport::GRPC), &carrier);
/// assert!(!admission.context.trace.has_ids());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MetadataCarrier<'a>(HeaderCarrier<'a>);

impl<'a> MetadataCarrier<'a> {
    /// Creates a carrier of metadata, in the form of headers.
    #[must_use]
    pub fn new(metadata: &'a HeaderMap) -> Self {
        Self(HeaderCarrier::new(metadata))
    }
}

impl Extract for MetadataCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        self.0.visit(name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.0.visit_all(each);
    }

    fn name_filter(&self) -> NameFilter {
        self.0.name_filter()
    }
}

/// The metadata of an outgoing call.
///
/// Metadata are headers with two further rules (gRPC over HTTP/2, "Custom-Metadata"): values are printable ASCII, and names that end in
/// `-bin` hold base64. Fields that break a rule, such as a baggage key `thumb-bin` in Jaeger's format, are rejected.
pub struct MetadataCarrierMut<'a>(&'a mut HeaderMap);

impl<'a> MetadataCarrierMut<'a> {
    /// Creates a carrier of metadata, in the form of headers.
    #[must_use]
    pub fn new(metadata: &'a mut HeaderMap) -> Self {
        Self(metadata)
    }
}

/// Prints no values: they may be personal.
impl std::fmt::Debug for MetadataCarrierMut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetadataCarrierMut").finish_non_exhaustive()
    }
}

/// Injects a context, and merges baggage that is already on the metadata, as far as the policy releases it.
pub(crate) fn inject(propagator: &Propagator, peer: &str, context: &PropagationContext, metadata: &mut HeaderMap) {
    let merges = HeaderCarrier::new(metadata).holds_any(propagator.fields());
    let (peer, mut metadata) = (Peer::grpc(peer), MetadataCarrierMut::new(metadata));
    if merges {
        propagator.inject_merged(&peer, context, &mut metadata);
    } else {
        propagator.inject(&peer, context, &mut metadata);
    }
}

impl Extract for MetadataCarrierMut<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        // Not through a `HeaderCarrier`: the values would borrow from the temporary carrier.
        for value in self.0.get_all(name.as_header_name()) {
            each(Value::Shared(value));
        }
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, value) in &*self.0 {
            each(name.as_str(), Value::Shared(value));
        }
    }
}

impl Inject for MetadataCarrierMut<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, trace: &TraceContext) -> InjectionReport {
        let legal = |field: &Field| is_legal(fields.names(), field);
        if fields.iter().all(legal) {
            return HeaderCarrierMut::new(self.0).commit(fields, trace);
        }
        let mut fitting = fields.clone();
        let illegal = fitting.retain_fitting(legal);
        let mut report = HeaderCarrierMut::new(self.0).commit(&fitting, trace);
        for name in &illegal {
            report.record_rejected(name, RejectReason::Unrepresentable);
        }
        report
    }
}

fn is_legal(names: &FieldNames, field: &Field) -> bool {
    let name = field.name().as_str();
    // A format that declares a `-bin` name writes base64. A name that is derived from a baggage key has a text value.
    let textual = name.ends_with("-bin") && names.prefixes().any(|prefix| name.starts_with(prefix));
    !textual && field.value().iter().all(|byte| (0x20..=0x7e).contains(byte))
}
