//! Messages as they were read, and the log that keeps them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::context::{BaggageMember, TraceParent, baggage_members};
use crate::trace::span::shown;

/// One field of a message: a header, a metadata entry, an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its name as it was on the wire, case and all.
    pub name: String,
    /// Its value.
    pub value: Vec<u8>,
    /// The transport's type name: `LongString`, `String`, `Binary`; empty for transports without types.
    pub type_name: String,
}

/// The fields of one message, as its receiver read them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WireRecord {
    /// The service that sent it.
    pub from: String,
    /// The service that read it.
    pub to: String,
    /// The transport: `http`, `grpc`, `kafka`, `amqp`, `sqs`.
    pub transport: String,
    /// The message's id over several hops and deliveries; empty if unknown.
    pub message: String,
    /// Every field in wire order, repeated names each time.
    pub fields: Vec<Field>,
}

impl WireRecord {
    /// A message between these services, with no fields yet.
    #[must_use]
    pub fn new(from: impl Into<String>, to: impl Into<String>, transport: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into(), transport: transport.into(), ..Self::default() }
    }

    /// Adds a field without a type.
    #[must_use]
    pub fn field(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.typed_field(name, "", value)
    }

    /// Adds a field of a type that the transport knows.
    #[must_use]
    pub fn typed_field(
        mut self,
        name: impl Into<String>,
        type_name: impl Into<String>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        self.fields.push(Field { name: name.into(), value: value.into(), type_name: type_name.into() });
        self
    }

    /// Adds fields without types.
    #[must_use]
    pub fn with_fields<N: Into<String>, V: Into<Vec<u8>>>(self, fields: impl IntoIterator<Item = (N, V)>) -> Self {
        fields.into_iter().fold(self, |record, (name, value)| record.field(name, value))
    }

    /// Sets the message's id, so that its records at several hops can be compared.
    #[must_use]
    pub fn of_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The values under this name in any case, in wire order.
    pub fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.as_slice())
    }

    /// The first `traceparent`, if it is valid as a writer must write it.
    #[must_use]
    pub fn trace_parent(&self) -> Option<TraceParent> {
        self.values("traceparent").next().and_then(|value| TraceParent::read(value).ok())
    }

    /// All members of all `baggage` fields, malformed ones left out.
    #[must_use]
    pub fn baggage(&self) -> Vec<BaggageMember> {
        self.values("baggage").flat_map(|value| baggage_members(value).filter_map(Result::ok)).collect()
    }

    /// `orders → payments over kafka`.
    #[must_use]
    pub fn hop(&self) -> String {
        format!("{} → {} over {}", shown(&self.from), shown(&self.to), shown(&self.transport))
    }
}

impl fmt::Display for WireRecord {
    /// The hop, then a line for each field; bytes that are not UTF-8 are shown as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.hop())?;
        if !self.message.is_empty() {
            write!(f, " (message {})", shown(&self.message))?;
        }
        writeln!(f)?;
        if self.fields.is_empty() {
            writeln!(f, "    (no fields)")?;
        }
        for field in &self.fields {
            let type_name =
                if field.type_name.is_empty() { String::new() } else { format!(" ({})", shown(&field.type_name)) };
            writeln!(f, "    {}{type_name}: {}", shown(&field.name), shown(&String::from_utf8_lossy(&field.value)))?;
        }
        Ok(())
    }
}

/// Every message recorded. Clones share one log, so each service of a test can hold one.
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<Vec<WireRecord>>>);

impl Wire {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message.
    pub fn record(&self, record: WireRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Every message so far, in the order recorded.
    #[must_use]
    pub fn records(&self) -> Vec<WireRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A log of its own with only the messages that came over this transport.
    #[must_use]
    pub fn over(&self, transport: &str) -> Self {
        self.only(|record| record.transport == transport)
    }

    /// A log of its own with only the messages between these services.
    #[must_use]
    pub fn between(&self, from: &str, to: &str) -> Self {
        self.only(|record| record.from == from && record.to == to)
    }

    /// A log of its own with only these messages.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&WireRecord) -> bool) -> Self {
        self.records().into_iter().filter(wanted).collect()
    }
}

impl FromIterator<WireRecord> for Wire {
    fn from_iter<T: IntoIterator<Item = WireRecord>>(records: T) -> Self {
        Self(Arc::new(Mutex::new(records.into_iter().collect())))
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.records();
        if records.is_empty() {
            return writeln!(f, "(no message was recorded)");
        }
        records.iter().try_for_each(|record| write!(f, "{record}"))
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.records()).finish()
    }
}
