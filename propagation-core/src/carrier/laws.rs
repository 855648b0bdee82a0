//! What every carrier must hold, as tests that an adapter adds with one line.

use crate::{
    Extract, Field, FieldName, FieldPriority, FieldValue, Inject, InjectionReport, OutgoingFields, TraceParent,
};

/// A message type under test, and how to look at it.
///
/// ```
/// use propagation_core::{Extract, Inject, carrier_laws};
///
/// struct Pairs;
///
/// impl carrier_laws::Subject for Pairs {
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
    /// The message, as the client library has it.
    type Message;
    /// Whether the message keeps its entries in the order they were added.
    const ORDERED: bool = true;
    /// Whether one name can stand more than once.
    const REPEATS: bool = true;
    /// A message without headers.
    fn empty() -> Self::Message;
    /// Adds a header as a foreign program would, beside what is there (in its place, if names are unique).
    fn put(message: &mut Self::Message, name: &str, value: &[u8]);
    /// All headers, without the help of the carrier under test.
    fn entries(message: &Self::Message) -> Vec<(String, Vec<u8>)>;
    /// Lends the message as an extract carrier.
    fn extract(message: &Self::Message, with: &mut dyn FnMut(&dyn Extract));
    /// Lends the message as an inject carrier.
    fn inject(message: &mut Self::Message, with: &mut dyn FnMut(&mut dyn Inject));
}

static PARENT: FieldName = FieldName::from_static("traceparent");
static STATE: FieldName = FieldName::from_static("tracestate");
static BAGGAGE: FieldName = FieldName::from_static("baggage");

const VALUE: &[u8; TraceParent::LEN] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn owned() -> OutgoingFields {
    let mut fields = OutgoingFields::new();
    for name in [&PARENT, &STATE, &BAGGAGE] {
        fields.declare(name);
    }
    fields
}

fn full() -> OutgoingFields {
    let mut fields = owned();
    fields.push_parent(&PARENT, *VALUE);
    fields.push(&STATE, FieldValue::from(b"congo=t61rcWkgMzE".to_vec()), FieldPriority::State);
    fields.push(&BAGGAGE, FieldValue::from(b"tenant.id=blue,locale=de%20AT".to_vec()), FieldPriority::Baggage);
    fields
}

fn commit<S: Subject>(message: &mut S::Message, fields: &OutgoingFields) -> InjectionReport {
    let mut injection = InjectionReport::none();
    S::inject(message, &mut |carrier| injection = carrier.commit(fields));
    injection
}

fn values<S: Subject>(message: &S::Message, name: &FieldName) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    S::extract(message, &mut |carrier| carrier.visit(name, &mut |value| values.push(value.as_bytes().to_vec())));
    values
}

fn expected(fields: &OutgoingFields) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|field: &Field| (field.name().as_str().to_owned(), field.value().to_vec())).collect()
}

fn ours<S: Subject>(message: &S::Message, fields: &OutgoingFields) -> Vec<(String, Vec<u8>)> {
    let mut entries = S::entries(message);
    entries.retain(|(name, _)| fields.contains(name));
    entries.sort();
    entries
}

fn sorted(mut entries: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    entries.sort();
    entries
}

/// What is injected is on the message, byte for byte, once, and extracts again.
pub fn what_is_injected_extracts_again<S: Subject>() {
    let (mut message, fields) = (S::empty(), full());
    let injection = commit::<S>(&mut message, &fields);
    assert!(injection.left_out.is_empty(), "{injection:?}");
    assert_eq!(injection.written.len(), fields.len(), "{injection:?}");
    assert_eq!(ours::<S>(&message, &fields), sorted(expected(&fields)));
    for field in fields.iter() {
        assert_eq!(values::<S>(&message, field.name()), [field.value().to_vec()], "{}", field.name().as_str());
    }
}

/// Whatever stood under our names before, one value each stands there after.
pub fn an_injection_replaces_what_was_there<S: Subject>() {
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

/// With nothing to write, the names we own are removed.
pub fn names_we_own_are_removed_when_nothing_is_written<S: Subject>() {
    let mut message = S::empty();
    commit::<S>(&mut message, &full());
    let injection = commit::<S>(&mut message, &owned());
    assert!(injection.written.is_empty(), "{injection:?}");
    assert_eq!(S::entries(&message), []);
    assert!(values::<S>(&message, &PARENT).is_empty());
}

/// The user's own headers survive, in order where the carrier has one.
pub fn other_headers_survive<S: Subject>() {
    let (mut message, fields) = (S::empty(), full());
    let others: Vec<(String, Vec<u8>)> =
        ["x-first", "x-second", "x-third"].map(|name| (name.to_owned(), name.as_bytes().to_vec())).into();
    for (at, (name, value)) in others.iter().enumerate() {
        S::put(&mut message, name, value);
        if at == 0 {
            S::put(&mut message, PARENT.as_str(), b"stale");
        }
    }
    for fields in [&fields, &fields, &owned()] {
        commit::<S>(&mut message, fields);
        let mut entries = S::entries(&message);
        entries.retain(|(name, _)| !fields.contains(name));
        let entries = if S::ORDERED { entries } else { sorted(entries) };
        assert_eq!(entries, others);
    }
}

/// One pass shows the same names and values as look-ups by name.
pub fn one_pass_shows_what_look_ups_show<S: Subject>() {
    let mut message = S::empty();
    S::put(&mut message, "x-first", b"1");
    commit::<S>(&mut message, &full());
    let mut seen = Vec::new();
    S::extract(&message, &mut |carrier| {
        carrier.visit_all(&mut |name, value| seen.push((name.to_owned(), value.as_bytes().to_vec())));
    });
    assert_eq!(sorted(seen), sorted(S::entries(&message)));
}

/// Repeated names are all shown, in wire order: that there are two traceparents must not stay hidden.
pub fn repeated_names_are_all_shown<S: Subject>() {
    let mut message = S::empty();
    S::put(&mut message, PARENT.as_str(), b"one");
    S::put(&mut message, PARENT.as_str(), b"two");
    let shown = if S::REPEATS { vec![b"one".to_vec(), b"two".to_vec()] } else { vec![b"two".to_vec()] };
    assert_eq!(values::<S>(&message, &PARENT), shown);
}

/// An absent name shows nothing, an empty value shows as empty.
pub fn absent_is_not_empty<S: Subject>() {
    let message = S::empty();
    assert!(values::<S>(&message, &PARENT).is_empty());
}

/// Adds a test for each carrier law to a crate's suite. Takes a type that implements
/// [`carrier_laws::Subject`](crate::carrier_laws::Subject).
#[macro_export]
macro_rules! carrier_laws {
    ($subject:ty) => {
        $crate::carrier_laws!(@each $subject:
            what_is_injected_extracts_again,
            an_injection_replaces_what_was_there,
            names_we_own_are_removed_when_nothing_is_written,
            other_headers_survive,
            one_pass_shows_what_look_ups_show,
            repeated_names_are_all_shown,
            absent_is_not_empty,
        );
    };
    (@each $subject:ty: $($law:ident,)*) => {
        $(
            #[test]
            fn $law() {
                $crate::carrier_laws::$law::<$subject>();
            }
        )*
    };
}
