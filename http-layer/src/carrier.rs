//! HTTP headers as carriers.

use http::{HeaderMap, HeaderName};
use propagation_core::{
    Admission, Extract, FieldName, FieldNames, Inject, InjectionReport, OutgoingFields, Peer, PropagationContext,
    Propagator, RejectReason, TraceContext, Transport, Value,
    carrier::{Field, FieldPriority, NameFilter},
};

use crate::attributes;

/// The headers of a received message.
///
/// ```
/// use http::HeaderMap;
/// use propagation_core::{Peer, Propagator, Transport};
/// use propagation_http::HeaderCarrier;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?);
/// let admission =
///     Propagator::default().extract(&Peer::caller(Transport::HTTP), &HeaderCarrier::new(&headers));
/// assert!(admission.context.trace.has_ids());
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Copy)]
pub struct HeaderCarrier<'a>(&'a HeaderMap);

/// Prints no values: they may be personal.
impl std::fmt::Debug for HeaderCarrier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeaderCarrier").finish_non_exhaustive()
    }
}

/// The headers of an outgoing message.
pub struct HeaderCarrierMut<'a>(&'a mut HeaderMap);

impl<'a> HeaderCarrierMut<'a> {
    /// Creates a carrier of headers.
    #[must_use]
    pub fn new(headers: &'a mut HeaderMap) -> Self {
        Self(headers)
    }
}

/// Prints no values: they may be personal.
impl std::fmt::Debug for HeaderCarrierMut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeaderCarrierMut").finish_non_exhaustive()
    }
}

/// Extracts the context from request headers, as far as the policy admits it. Starts no span.
#[must_use]
pub fn extract(propagator: &Propagator, headers: &HeaderMap) -> Admission {
    propagator.extract(&Peer::caller(Transport::HTTP), &HeaderCarrier::new(headers))
}

/// Injects a context into request headers, as far as the policy releases it to the host. Starts no span.
///
/// Baggage that is already on the request passes the policy, too, and is merged; members of the context win. Other trace headers of the
/// request are replaced.
pub fn inject(
    propagator: &Propagator,
    host: &str,
    context: &PropagationContext,
    headers: &mut HeaderMap,
) -> InjectionReport {
    inject_merged(
        propagator,
        &Peer::http(&attributes::canonical_host(host)),
        context,
        &mut HeaderCarrierMut::new(headers),
    )
}

/// Merges baggage only if the request already has a propagated header: most have none, and comparing names is cheaper than parsing.
pub(crate) fn inject_merged(
    propagator: &Propagator,
    peer: &Peer<'_>,
    context: &PropagationContext,
    headers: &mut (impl Extract + Inject + AsRef<HeaderMap>),
) -> InjectionReport {
    if HeaderCarrier::new(headers.as_ref()).holds_any(propagator.fields()) {
        propagator.inject_merged(peer, context, headers)
    } else {
        propagator.inject(peer, context, headers)
    }
}

impl<'a> HeaderCarrier<'a> {
    /// Creates a carrier of headers.
    #[must_use]
    pub fn new(headers: &'a HeaderMap) -> Self {
        Self(headers)
    }

    /// Returns `true` if a header has one of these names. Cheaper than looking up each name.
    #[must_use]
    pub fn holds_any(&self, names: &FieldNames) -> bool {
        let is_declared = |name: &HeaderName| names.might_contain(name.as_str()) && names.contains(name.as_str());
        !self.0.is_empty() && (names.has_prefixes() || self.0.keys().any(is_declared))
    }
}

/// Up to this many headers, comparing each name is cheaper than a look-up.
const MAX_COMPARED: usize = 4;

fn visit<'a>(headers: &'a HeaderMap, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
    let name = name.as_header_name();
    let no_name_twice = headers.len() == headers.keys_len();
    if headers.len() <= MAX_COMPARED {
        for (found, value) in headers {
            if found == name {
                each(Value::Shared(value));
                if no_name_twice {
                    return;
                }
            }
        }
        return;
    }
    // Duplicates are looked up only after a first match.
    let Some(value) = headers.get(name) else { return };
    if no_name_twice {
        each(Value::Shared(value));
    } else {
        for value in headers.get_all(name) {
            each(Value::Shared(value));
        }
    }
}

fn visit_all<'a>(headers: &'a HeaderMap, each: &mut dyn FnMut(&'a str, Value<'a>)) {
    for (name, value) in headers {
        each(name.as_str(), Value::Shared(value));
    }
}

fn name_filter(headers: &HeaderMap) -> NameFilter {
    let mut filter = NameFilter::EMPTY;
    for name in headers.keys() {
        filter.insert(name.as_str().as_bytes());
    }
    filter
}

impl Extract for HeaderCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit(self.0, name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(self.0, each);
    }

    fn name_filter(&self) -> NameFilter {
        name_filter(self.0)
    }
}

impl Extract for HeaderCarrierMut<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit(self.0, name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(self.0, each);
    }
}

impl AsRef<HeaderMap> for HeaderCarrierMut<'_> {
    fn as_ref(&self) -> &HeaderMap {
        self.0
    }
}

/// The headers of a request, with limits beyond those of the policy.
#[derive(Debug)]
pub(crate) struct RestrictedHeaders<'a> {
    pub(crate) headers: &'a mut HeaderMap,
    /// Whether baggage may be written; if not, it is rejected as [`RejectReason::UnsupportedOperation`].
    pub(crate) baggage: bool,
    /// The maximum total size of the propagated headers, in bytes.
    pub(crate) limit: Option<usize>,
}

impl AsRef<HeaderMap> for RestrictedHeaders<'_> {
    fn as_ref(&self) -> &HeaderMap {
        self.headers
    }
}

impl Extract for RestrictedHeaders<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit(self.headers, name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(self.headers, each);
    }
}

impl Inject for RestrictedHeaders<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, trace: &TraceContext) -> InjectionReport {
        let mut fitting = fields.clone();
        let withheld = if self.baggage {
            Vec::new()
        } else {
            fitting.retain_fitting(|field| field.priority() != FieldPriority::Baggage)
        };
        let mut too_large = Vec::new();
        if let Some(limit) = self.limit {
            too_large.extend(fitting.truncate_state(limit, header_size));
            let mut room = limit;
            too_large.extend(fitting.retain_fitting(|field| match room.checked_sub(header_size(field)) {
                Some(left) => {
                    room = left;
                    true
                }
                None => false,
            }));
        }
        let mut report = HeaderCarrierMut::new(self.headers).commit(&fitting, trace);
        for name in &withheld {
            report.record_rejected(name, RejectReason::UnsupportedOperation);
        }
        for name in &too_large {
            report.record_rejected(name, RejectReason::TooLarge);
        }
        report
    }
}

/// Returns the size of a header as HTTP/2 and HTTP/3 count it (RFC 9113, 6.5.2).
fn header_size(field: &Field) -> usize {
    field.name().as_str().len() + field.value().len() + 32
}

impl Inject for HeaderCarrierMut<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
        let headers = &mut *self.0;
        if fields.names().has_prefixes() {
            let declared: Vec<HeaderName> =
                headers.keys().filter(|name| fields.contains(name.as_str())).cloned().collect();
            for name in declared {
                headers.remove(name);
            }
        }
        let Replaced { done, stale } = replace(headers, fields);
        if stale {
            for name in fields.names().iter().filter(|name| !fields.writes(name.as_str())) {
                headers.remove(name.as_header_name());
            }
        }
        let mut report = InjectionReport::new();
        for (nth, field) in fields.iter().enumerate() {
            let written = if done & bit(nth) != 0 { Ok(()) } else { insert(headers, field) };
            match written {
                Ok(()) => report.record_written(field.name()),
                Err(reason) => report.record_rejected(field.name(), reason),
            }
        }
        report
    }
}

fn insert(headers: &mut HeaderMap, field: &Field) -> Result<(), RejectReason> {
    let value = field.to_header_value().ok_or(RejectReason::Unrepresentable)?;
    let name = field.name().as_header_name().clone();
    headers.try_insert(name, value).map(drop).map_err(|_| RejectReason::TooLarge)
}

/// The result of [`replace`].
struct Replaced {
    /// One [`bit`] for each field that was written.
    done: u64,
    /// Whether the map may hold headers to remove.
    stale: bool,
}

/// Returns the bit of a field: 0 from the 65th field on, which is then inserted again.
fn bit(nth: usize) -> u64 {
    1_u64.unbounded_shl(u32::try_from(nth).unwrap_or(u32::MAX))
}

/// Up to this many headers, iterating over all of them is cheaper than three look-ups.
const MAX_ITERATED: usize = 12;

/// Overwrites the values of headers that exist already. This saves the look-up and keeps the order.
fn replace(headers: &mut HeaderMap, fields: &OutgoingFields<'_>) -> Replaced {
    let mut replaced = Replaced { done: 0, stale: true };
    // Duplicate names need removal, not replacement alone.
    if headers.len() > MAX_ITERATED || headers.len() > headers.keys_len() {
        return replaced;
    }
    replaced.stale = false;
    for (name, old) in headers {
        if !fields.might_contain(name.as_str()) {
            continue;
        }
        match fields.iter().enumerate().find(|(_, field)| field.name().as_header_name() == name) {
            Some((nth, field)) => {
                if let Some(new) = field.to_header_value() {
                    *old = new;
                    replaced.done |= bit(nth);
                }
            }
            None => replaced.stale |= fields.names().iter().any(|declared| declared.as_header_name() == name),
        }
    }
    replaced
}
