//! Where canaries hide: each kind, in each disguise, in each place that can hold it.

use propagation_core::{Peer, PropagationContext, Propagator, Transport};
use propagation_testkit::{
    canary::{Canaries, CanaryKind, Encoding},
    trace::TraceId,
};

/// The prefix of every value: the key marks a random string as a secret.
pub(crate) const KEY: &str = "api.password";

/// Where in a context a canary hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Key,
    Value,
    Property,
    State,
}

impl Place {
    pub(crate) const ALL: [Self; 4] = [Self::Key, Self::Value, Self::Property, Self::State];
}

/// A canary in its hiding place, as an outsider's request would have it.
#[derive(Clone, Debug)]
pub(crate) struct Hidden {
    pub(crate) kind: CanaryKind,
    pub(crate) encoding: Encoding,
    pub(crate) place: Place,
    fields: Vec<(String, Vec<u8>)>,
}

impl Hidden {
    fn new(kind: CanaryKind, encoding: Encoding, place: Place, text: &str) -> Self {
        let (mut state, mut baggage) = (String::new(), String::new());
        // A value as its sender would write it: encoded once for the header.
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        match place {
            Place::Key => baggage = format!("{text}=1"),
            Place::Value => baggage = format!("{KEY}={encoded}"),
            Place::Property => baggage = format!("plan=free;password={encoded}"),
            Place::State => state = format!("vendor={text}"),
        }
        let fields = [("tracestate", &*state), ("baggage", &*baggage)];
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let fields = fields.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        Self { kind, encoding, place, fields }
    }

    /// The context of a service in this trace: admitted baggage, and one clean member.
    pub(crate) fn admitted(&self, by: &Propagator, trace: TraceId) -> PropagationContext {
        let mut context = self.read(by, trace);
        context.baggage.set("tenant.id", "blue").unwrap();
        context
    }

    fn read(&self, by: &Propagator, trace: TraceId) -> PropagationContext {
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        let mut fields = self.fields.clone();
        fields.push(("traceparent".to_owned(), parent.into_bytes()));
        by.extract(&Peer::caller(Transport::HTTP), &fields).context
    }

    /// Whether a reader takes it: a place may have no room for a text.
    fn is_read(&self, by: &Propagator) -> bool {
        let context = self.read(by, TraceId::from_bytes([1; 16]));
        !context.baggage.is_empty() || !context.trace.state.is_empty()
    }
}

/// Every hiding place that a reader who lets all pass takes.
pub(crate) fn places(canaries: &Canaries, open: &Propagator) -> Vec<Hidden> {
    let mut hidden = Vec::new();
    for canary in canaries.iter() {
        for &encoding in Encoding::ALL {
            let Some(text) = canary.encoded(encoding) else { continue };
            for place in Place::ALL {
                // A random string is a secret by its key; alone it could be any id.
                if canary.kind() == CanaryKind::Secret && place != Place::Value {
                    continue;
                }
                // Sixteen hexadecimal digits of a vendor are a span id.
                if canary.kind() == CanaryKind::Card && encoding == Encoding::Plain && place == Place::State {
                    continue;
                }
                // In other groups than its own a social security number is nine digits like any others.
                if canary.kind() == CanaryKind::Ssn && encoding == Encoding::Separated {
                    continue;
                }
                hidden.push(Hidden::new(canary.kind(), encoding, place, &text));
            }
        }
    }
    hidden.retain(|hidden| hidden.is_read(open));
    hidden
}
