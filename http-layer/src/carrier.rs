//! Headers as a carrier.

use http::{HeaderMap, HeaderName, HeaderValue};
use propagation_core::{
    Admission, Extract, FieldName, Fields, Inject, Injection, Peer, PropagationContext, Propagator, Reason, Value,
};
use smallvec::SmallVec;

use crate::attributes;

/// The headers of a received message.
#[derive(Clone, Copy, Debug)]
pub struct HeaderCarrier<'a>(pub &'a HeaderMap);

/// The headers of a message that is about to be sent.
#[derive(Debug)]
pub struct HeaderCarrierMut<'a>(pub &'a mut HeaderMap);

/// What the headers of a request bring, judged by the policy. Makes no span.
#[must_use]
pub fn extract(propagator: &Propagator, headers: &HeaderMap) -> Admission {
    propagator.extract(&Peer::http(""), &HeaderCarrier(headers))
}

/// Writes what a host may learn of a context onto the headers of a request. Makes no span.
pub fn inject(propagator: &Propagator, host: &str, context: &PropagationContext, headers: &mut HeaderMap) -> Injection {
    propagator.inject(&Peer::http(&attributes::canonical_host(host)), context, &mut HeaderCarrierMut(headers))
}

/// Up to this many headers, comparing each is cheaper than a look-up.
const FEW: usize = 4;

fn visit<'a>(headers: &'a HeaderMap, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
    let name = name.as_header_name();
    if headers.len() <= FEW {
        for (found, value) in headers {
            if found == name {
                each(Value::Shared(value));
            }
        }
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

impl Extract for HeaderCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        visit(self.0, name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        visit_all(self.0, each);
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

impl Inject for HeaderCarrierMut<'_> {
    fn commit(&mut self, fields: &Fields) -> Injection {
        // Every value first: a field that can't be a header must not cost the others their old values.
        let mut values: Values = fields.iter().map(|field| Some(field.to_header_value())).collect();
        let headers = &mut *self.0;
        if fields.owns_prefixes() {
            let owned: Vec<HeaderName> = headers.keys().filter(|name| fields.owns(name.as_str())).cloned().collect();
            for name in owned {
                headers.remove(name);
            }
        }
        if replace(headers, fields, &mut values) {
            for name in fields.owned().filter(|name| !fields.writes(name.as_str())) {
                headers.remove(name.as_header_name());
            }
        }
        let mut injection = Injection::none();
        for (field, value) in fields.iter().zip(values) {
            let name = field.name();
            match value.map(|value| value.map(|value| headers.try_insert(name.as_header_name().clone(), value))) {
                None | Some(Some(Ok(_))) => injection.wrote(name),
                Some(Some(Err(_))) => injection.left_out(name, Reason::NoRoom),
                Some(None) => injection.left_out(name, Reason::Unrepresentable),
            }
        }
        injection
    }
}

/// For each field, what is still to be written: nothing, or a value, or one that can't be a header.
type Values = SmallVec<[Option<Option<HeaderValue>>; 3]>;

/// Up to this many headers, walking over all of them is cheaper than looking for three.
const SOME: usize = 24;

/// Writes values where a header of their name stands already: that spares the look-up, and keeps the order. Answers whether
/// there may be headers to remove.
fn replace(headers: &mut HeaderMap, fields: &Fields, values: &mut Values) -> bool {
    // With repeated names there is more to do than to replace.
    if headers.len() > SOME || headers.len() > headers.keys_len() {
        return true;
    }
    let mut stale = false;
    for (name, old) in headers {
        let mut written = fields.iter().zip(&mut *values);
        match written.find(|(field, _)| field.name().as_header_name() == name) {
            Some((_, value)) => {
                if let Some(new) = value.take_if(|value| value.is_some()).flatten() {
                    *old = new;
                }
            }
            None => stale |= fields.owned().any(|owned| owned.as_header_name() == name),
        }
    }
    stale
}
