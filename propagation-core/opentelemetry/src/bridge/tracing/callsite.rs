//! Callsites of our spans: named like the span, and without a place in our source, which would name the builder's directories.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use tracing::{
    Level, Metadata, Span, Value,
    callsite::{self, Callsite, DefaultCallsite, Identifier},
    dispatcher,
    field::FieldSet,
    level_filters::{LevelFilter, STATIC_MAX_LEVEL},
    metadata::Kind,
    subscriber::Interest,
};

use propagation_core::SpanKind;

const TARGET: &str = "propagation";
const LEVEL: Level = Level::INFO;
const NAME: &str = "otel.name";
const KIND: &str = "otel.kind";
/// The layer reserves room for as many attributes as there are fields: a server's attributes fit.
const FIELDS: &[&str] = &[NAME, KIND, "otel.status_code", "otel.status_description", "error.type"];

/// Callsites live for ever: further names share one for each kind of span.
const LIMIT: usize = 1_000;

type Named = BTreeMap<&'static str, &'static SpanCallsite>;

static NAMED: Mutex<Named> = Mutex::new(Named::new());

thread_local! {
    /// The callsites that this thread has used: a lock would be shared by all threads.
    static USED: RefCell<Named> = const { RefCell::new(Named::new()) };
}

/// Starts the `tracing` span of a hop; a disabled one where a filter disables it.
pub(super) fn span(name: &str, kind: SpanKind, root: bool) -> Span {
    let kind = match kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
    };
    let Some(callsite) = of(name).or_else(|| of(kind)).filter(|callsite| callsite.is_enabled()) else {
        return Span::none();
    };
    let metadata = callsite.describe();
    let fields = metadata.fields();
    let (Some(name_field), Some(kind_field)) = (fields.field(NAME), fields.field(KIND)) else { return Span::none() };
    // The layer takes the name from the metadata, unless this field has one.
    let other_name = (metadata.name() != name).then_some(&name as &dyn Value);
    let values = [(&name_field, other_name), (&kind_field, Some(&kind as &dyn Value))];
    let values = fields.value_set(&values);
    if root { Span::new_root(metadata, &values) } else { Span::new(metadata, &values) }
}

/// The callsite of a name; `None` if there are too many.
fn of(name: &str) -> Option<&'static SpanCallsite> {
    let used = USED.try_with(|used| used.try_borrow().ok()?.get(name).copied()).ok().flatten();
    used.or_else(|| shared(name))
}

/// Looks a name up for all threads, and keeps the callsite for this one.
#[cold]
fn shared(name: &str) -> Option<&'static SpanCallsite> {
    let found = add(name)?;
    let name = found.describe().name();
    let _ = USED.try_with(|used| used.try_borrow_mut().map(|mut used| used.insert(name, found)));
    Some(found)
}

fn add(name: &str) -> Option<&'static SpanCallsite> {
    let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = named.get(name) {
        return Some(known);
    }
    // A name of a kind always has room: there are five.
    let is_kind = matches!(name, "server" | "client" | "producer" | "consumer" | "internal");
    if named.len() >= LIMIT && !is_kind {
        return None;
    }
    let name: &'static str = String::leak(name.to_owned());
    let callsite: &'static SpanCallsite =
        Box::leak(Box::new(SpanCallsite { interest: AtomicU8::new(SOMETIMES), metadata: OnceLock::new() }));
    let _ = callsite.metadata.set(metadata(name, callsite));
    named.insert(name, callsite);
    drop(named);
    // Asks the subscriber, whose code may be anything: not under the lock.
    callsite::register(callsite);
    Some(callsite)
}

const fn metadata(name: &'static str, callsite: &'static dyn Callsite) -> Metadata<'static> {
    Metadata::new(name, TARGET, LEVEL, None, None, None, FieldSet::new(FIELDS, Identifier(callsite)), Kind::SPAN)
}

/// In place of metadata that are not set yet, which does not occur: they are set before anything knows the callsite.
static UNNAMED: Metadata<'static> = metadata("hop", &UNNAMED_CALLSITE);
static UNNAMED_CALLSITE: DefaultCallsite = DefaultCallsite::new(&UNNAMED);

const NEVER: u8 = 0;
const SOMETIMES: u8 = 1;
const ALWAYS: u8 = 2;

struct SpanCallsite {
    interest: AtomicU8,
    metadata: OnceLock<Metadata<'static>>,
}

impl SpanCallsite {
    fn describe(&'static self) -> &'static Metadata<'static> {
        self.metadata.get().unwrap_or(&UNNAMED)
    }

    /// As the macros of `tracing` do.
    fn is_enabled(&'static self) -> bool {
        LEVEL <= STATIC_MAX_LEVEL
            && LEVEL <= LevelFilter::current()
            && match self.interest.load(Ordering::Relaxed) {
                NEVER => false,
                ALWAYS => true,
                _ => dispatcher::get_default(|dispatch| dispatch.enabled(self.describe())),
            }
    }
}

impl Callsite for SpanCallsite {
    fn set_interest(&self, interest: Interest) {
        let interest = match interest {
            interest if interest.is_never() => NEVER,
            interest if interest.is_always() => ALWAYS,
            _ => SOMETIMES,
        };
        self.interest.store(interest, Ordering::Relaxed);
    }

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata.get().unwrap_or(&UNNAMED)
    }
}
