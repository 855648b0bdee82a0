//! The laws of carriers, as tests that an adapter adds with one line.

use std::sync::LazyLock;

use crate::{
    Extract, FieldName, FieldNames, FieldPriority, FieldValue, Inject, InjectionReport, OutgoingFields, TraceContext,
    TraceParent,
};

/// A message type under test, with access to its headers.
///
/// ```
/// use propagation_core::{Extract, Inject, carrier::laws};
///
/// struct Pairs;
///
/// impl laws::Subject for Pairs {
///     type Message = Vec<(String, Vec<u8>)>;
///     fn empty() -> Self::Message { Vec::new() }
///     fn put(message: &mut Self::Message, name: &str, value: &[u8]) {
///         message.push((name.to_owned(), value.to_owned()));
///     }
///     fn entries(message: &Self::Message) -> Vec<(String, Vec<u8>)> { message.clone() }
///     fn extract(message: &Self::Message, with: &mut dyn FnMut(&dyn Extract)) { with(message) }
///     fn inject(message: &mut Self::Message, with: &mut dyn FnMut(&mut dyn Inject)) { with(message) }
/// }
///
/// // In `tests/it/`: propagation_core::carrier_laws!(Pairs);
/// ```
pub trait Subject {
    /// The client library's message.
    type Message;
    /// Whether the message keeps its entries in the order they were added.
    const ORDERED: bool = true;
    /// Whether a message can have several values under one name.
    const REPEATS: bool = true;
    /// Creates a message without headers.
    fn empty() -> Self::Message;
    /// Adds a header as another program would: beside existing values of the name, or in their place if names are unique.
    fn put(message: &mut Self::Message, name: &str, value: &[u8]);
    /// Returns all headers, without use of the carrier under test.
    fn entries(message: &Self::Message) -> Vec<(String, Vec<u8>)>;
    /// Calls `with` with the message as a carrier to extract from.
    fn extract(message: &Self::Message, with: &mut dyn FnMut(&dyn Extract));
    /// Calls `with` with the message as a carrier to inject into.
    fn inject(message: &mut Self::Message, with: &mut dyn FnMut(&mut dyn Inject));
}

static PARENT: FieldName = FieldName::from_static("traceparent");
static STATE: FieldName = FieldName::from_static("tracestate");
static BAGGAGE: FieldName = FieldName::from_static("baggage");

const VALUE: &[u8; TraceParent::LEN] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static NAMES: LazyLock<FieldNames> = LazyLock::new(|| {
    let mut names = FieldNames::new();
    for name in [&PARENT, &STATE, &BAGGAGE] {
        names.declare(name);
    }
    names
});

fn empty() -> OutgoingFields<'static> {
    OutgoingFields::new(&NAMES)
}

fn full() -> OutgoingFields<'static> {
    let mut fields = empty();
    fields.push_parent(&PARENT, *VALUE);
    fields.push(&STATE, FieldValue::from(b"congo=t61rcWkgMzE".to_vec()), FieldPriority::State);
    fields.push(&BAGGAGE, FieldValue::from(b"tenant.id=blue,locale=de%20AT".to_vec()), FieldPriority::Baggage);
    fields
}

fn commit<S: Subject>(message: &mut S::Message, fields: &OutgoingFields<'_>) -> InjectionReport {
    let parent = if fields.is_empty() { None } else { TraceParent::from_bytes(VALUE).ok() };
    let trace = parent.map(TraceContext::new).unwrap_or_default();
    let mut report = InjectionReport::new();
    S::inject(message, &mut |carrier| report = carrier.commit(fields, &trace));
    report
}

fn values<S: Subject>(message: &S::Message, name: &FieldName) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    S::extract(message, &mut |carrier| carrier.visit(name, &mut |value| values.push(value.as_bytes().to_vec())));
    values
}

fn expected(fields: &OutgoingFields<'_>) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|field| (field.name().as_str().to_owned(), field.value().to_vec())).collect()
}

fn ours<S: Subject>(message: &S::Message, fields: &OutgoingFields<'_>) -> Vec<(String, Vec<u8>)> {
    let mut entries = S::entries(message);
    entries.retain(|(name, _)| fields.contains(name));
    entries.sort();
    entries
}

fn sorted(mut entries: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    entries.sort();
    entries
}

/// Injected fields are on the message once, byte for byte, and can be extracted.
pub fn injected_fields_are_extracted<S: Subject>() {
    let (mut message, fields) = (S::empty(), full());
    let report = commit::<S>(&mut message, &fields);
    assert!(report.rejected().is_empty(), "{report:?}");
    assert_eq!(report.written().len(), fields.len(), "{report:?}");
    assert_eq!(ours::<S>(&message, &fields), sorted(expected(&fields)));
    for field in fields.iter() {
        assert_eq!(values::<S>(&message, field.name()), [field.value().to_vec()], "{}", field.name().as_str());
    }
}

/// An injection replaces all existing values under the names of its fields.
pub fn injection_replaces_existing_values<S: Subject>() {
    let (mut message, fields) = (S::empty(), full());
    for name in [&PARENT, &STATE, &BAGGAGE] {
        for value in [b"stale".as_slice(), b"staler"] {
            S::put(&mut message, name.as_str(), value);
        }
    }
    commit::<S>(&mut message, &fields);
    commit::<S>(&mut message, &fields);
    assert_eq!(ours::<S>(&message, &fields), sorted(expected(&fields)));
}

/// An injection removes declared names without a field.
pub fn declared_names_without_a_field_are_removed<S: Subject>() {
    let mut message = S::empty();
    commit::<S>(&mut message, &full());
    let report = commit::<S>(&mut message, &empty());
    assert_eq!(report.written().len(), 0, "{report:?}");
    assert_eq!(S::entries(&message), []);
    assert!(values::<S>(&message, &PARENT).is_empty());
}

/// An injection keeps all other headers, in order if the message has an order.
pub fn other_headers_are_kept<S: Subject>() {
    let (mut message, fields) = (S::empty(), full());
    let others: Vec<(String, Vec<u8>)> =
        ["x-first", "x-second", "x-third"].map(|name| (name.to_owned(), name.as_bytes().to_vec())).into();
    for (at, (name, value)) in others.iter().enumerate() {
        S::put(&mut message, name, value);
        if at == 0 {
            S::put(&mut message, PARENT.as_str(), b"stale");
        }
    }
    for fields in [&fields, &fields, &empty()] {
        commit::<S>(&mut message, fields);
        let mut entries = S::entries(&message);
        entries.retain(|(name, _)| !fields.contains(name));
        let entries = if S::ORDERED { entries } else { sorted(entries) };
        assert_eq!(entries, others);
    }
}

/// `visit_all` visits the same names and values as `visit`.
pub fn visit_all_visits_every_header<S: Subject>() {
    let mut message = S::empty();
    S::put(&mut message, "x-first", b"1");
    commit::<S>(&mut message, &full());
    let mut seen = Vec::new();
    S::extract(&message, &mut |carrier| {
        carrier.visit_all(&mut |name, value| seen.push((name.to_owned(), value.as_bytes().to_vec())));
    });
    assert_eq!(sorted(seen), sorted(S::entries(&message)));
}

/// The filter of names contains every name of the message.
pub fn name_filter_contains_every_name<S: Subject>() {
    let mut message = S::empty();
    commit::<S>(&mut message, &full());
    S::extract(&message, &mut |carrier| {
        let filter = carrier.name_filter();
        for name in [&PARENT, &STATE, &BAGGAGE] {
            assert!(filter.might_contain(name), "{}", name.as_str());
        }
        assert!(filter.might_start_with("traceparent"));
    });
}

/// `visit` visits all values of a name, in wire order: a second `traceparent` must not go unnoticed.
pub fn all_values_of_a_name_are_visited<S: Subject>() {
    let mut message = S::empty();
    S::put(&mut message, PARENT.as_str(), b"one");
    S::put(&mut message, PARENT.as_str(), b"two");
    let shown = if S::REPEATS { vec![b"one".to_vec(), b"two".to_vec()] } else { vec![b"two".to_vec()] };
    assert_eq!(values::<S>(&message, &PARENT), shown);
}

/// `visit` does not call back for an absent name.
pub fn absent_names_are_not_visited<S: Subject>() {
    let message = S::empty();
    assert!(values::<S>(&message, &PARENT).is_empty());
}

/// Adds a test for each carrier law to a crate's suite. Takes a type that implements
/// [`Subject`](crate::carrier::laws::Subject).
#[macro_export]
macro_rules! carrier_laws {
    ($subject:ty) => {
        $crate::carrier_laws!(@each $subject:
            injected_fields_are_extracted,
            injection_replaces_existing_values,
            declared_names_without_a_field_are_removed,
            other_headers_are_kept,
            visit_all_visits_every_header,
            name_filter_contains_every_name,
            all_values_of_a_name_are_visited,
            absent_names_are_not_visited,
        );
    };
    (@each $subject:ty: $($law:ident,)*) => {
        $(
            #[test]
            fn $law() {
                $crate::carrier::laws::$law::<$subject>();
            }
        )*
    };
}
