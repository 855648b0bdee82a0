//! Assertions on recorded messages.

use std::collections::{BTreeMap, BTreeSet};

use super::context::{TraceParent, baggage_members, trace_state_fault};
use super::{Wire, WireRecord};
use crate::assertions::assertions;
use crate::trace::span::shown;
use crate::trace::{AssertionFailure, TraceGraph, TraceId};

const STRIPPED: &str = "nothing was injected there, or something between the two strips headers";
const APPENDED: &str =
    "the fields were appended where they should replace the received ones, or two propagators inject";
const FLIPPED: &str = "the flag was flipped there: inject the flags of the span's context unchanged";
const SAMPLED: u8 = 0x01;

/// Claims on recorded messages. All hold for each message; none holds where no message was recorded.
impl Wire {
    /// Each message has exactly one value for each of these names, and the name is in lower case.
    ///
    /// # Errors
    /// With each message that has none or several, or spells the name otherwise.
    pub fn exactly_one(&self, names: &[&str]) -> Result<(), AssertionFailure> {
        self.each(format!("exactly one value for each of {}", names.join(", ")), |record, facts| {
            for name in names {
                match record.values(name).count() {
                    1 => {}
                    0 => facts.push(format!("no `{name}`"), STRIPPED),
                    several => facts.push(format!("{several} values of `{name}`"), APPENDED),
                }
                spelled(record, name, facts);
            }
        })
    }

    /// No message has more than one value for any of these names.
    ///
    /// # Errors
    /// With each message that has several, or spells the name otherwise than in lower case.
    pub fn at_most_one(&self, names: &[&str]) -> Result<(), AssertionFailure> {
        self.each(format!("at most one value for each of {}", names.join(", ")), |record, facts| {
            for name in names {
                let count = record.values(name).count();
                if count > 1 {
                    facts.push(format!("{count} values of `{name}`"), APPENDED);
                }
                spelled(record, name, facts);
            }
        })
    }

    /// No message has any of these names.
    ///
    /// # Errors
    /// With each message that does.
    pub fn absent(&self, names: &[&str]) -> Result<(), AssertionFailure> {
        self.each(format!("none of {}", names.join(", ")), |record, facts| {
            for name in names.iter().filter(|name| record.values(name).next().is_some()) {
                facts.push(
                    format!("`{name}` is there"),
                    "it was injected where the policy should have stopped it, or forwarded as it came",
                );
            }
        })
    }

    /// Every `traceparent`, `tracestate` and `baggage` there is, is as the specifications have a writer write it.
    ///
    /// # Errors
    /// With each value that is not.
    pub fn valid_context(&self) -> Result<(), AssertionFailure> {
        const COPIED: &str = "a received value was sent on as it came, or put together by hand";
        self.each("valid traceparent, tracestate and baggage".to_owned(), |record, facts| {
            for value in record.values("traceparent") {
                if let Err(why) = TraceParent::read(value) {
                    facts.push(format!("traceparent `{}` {why}", text(value)), COPIED);
                }
            }
            for value in record.values("tracestate") {
                if let Some(why) = trace_state_fault(value) {
                    facts.push(format!("tracestate `{}` {why}", text(value)), COPIED);
                }
            }
            for value in record.values("baggage") {
                for member in baggage_members(value).filter_map(Result::err) {
                    facts.push(format!("baggage has the malformed member `{}`", shown(&member)), COPIED);
                }
                if value.trim_ascii().is_empty() {
                    facts.push("baggage is empty", COPIED);
                }
            }
        })
    }

    /// Each message has at most so many fields, and at most so many bytes in their names and values together.
    ///
    /// # Errors
    /// With each message that has more.
    pub fn within(&self, fields: usize, bytes: usize) -> Result<(), AssertionFailure> {
        self.each(format!("at most {fields} fields and {bytes} bytes of them"), |record, facts| {
            let size: usize = record.fields.iter().map(|field| field.name.len() + field.value.len()).sum();
            if record.fields.len() > fields || size > bytes {
                facts.push(
                    format!("{} fields, {size} bytes", record.fields.len()),
                    "the user's own fields were not counted when room was made for the context",
                );
            }
        })
    }

    /// Each message's baggage has at most so many members and bytes, over all its fields.
    ///
    /// # Errors
    /// With each message that has more.
    pub fn baggage_within(&self, members: usize, bytes: usize) -> Result<(), AssertionFailure> {
        self.each(format!("at most {members} members and {bytes} bytes of baggage"), |record, facts| {
            let count: usize = record.values("baggage").map(|value| baggage_members(value).count()).sum();
            let size: usize = record.values("baggage").map(<[u8]>::len).sum();
            if count > members || size > bytes {
                facts.push(
                    format!("{count} members, {size} bytes"),
                    "the limit is not held on inject, or counted before encoding",
                );
            }
        })
    }

    /// Each message's baggage has no other keys than these, malformed members counting as other keys.
    ///
    /// # Errors
    /// With each key that is not one of them.
    pub fn baggage_only(&self, keys: &[&str]) -> Result<(), AssertionFailure> {
        let allowed = if keys.is_empty() { "no keys".to_owned() } else { format!("only the keys {}", keys.join(", ")) };
        self.each(format!("baggage has {allowed}"), |record, facts| {
            for member in record.values("baggage").flat_map(baggage_members) {
                let key = member.map_or_else(|malformed| malformed, |member| member.key);
                if !keys.contains(&key.as_str()) {
                    facts.push(
                        format!("the key `{}`", shown(&key)),
                        "the policy for this peer allows more than it should, or baggage was forwarded around it",
                    );
                }
            }
        })
    }

    /// Where a field of one of these names is there, its type is this one.
    ///
    /// # Errors
    /// With each field of another type.
    pub fn typed(&self, names: &[&str], type_name: &str) -> Result<(), AssertionFailure> {
        self.each(format!("{} of type {type_name}", names.join(", ")), |record, facts| {
            for field in &record.fields {
                if names.iter().any(|name| field.name.eq_ignore_ascii_case(name)) && field.type_name != type_name {
                    facts.push(
                        format!("`{}` is of type {}", shown(&field.name), shown(&field.type_name)),
                        "readers in other languages know only the one type",
                    );
                }
            }
        })
    }

    /// All records of one message have the same `traceparent` and `tracestate`: its creation context is not touched by
    /// redelivery, forwarding or dead-lettering. Needs [`WireRecord::of_message`].
    ///
    /// # Errors
    /// With each message whose context changed; also where no message was recorded twice.
    pub fn creation_context_unchanged(&self) -> Result<(), AssertionFailure> {
        let claim = "creation context unchanged: all records of one message carry the same context";
        let records = self.records();
        let mut first: BTreeMap<&str, &WireRecord> = BTreeMap::new();
        let mut facts = Facts::default();
        let mut compared = 0;
        for record in records.iter().filter(|record| !record.message.is_empty()) {
            let Some(created) = first.get(record.message.as_str()) else {
                first.insert(&record.message, record);
                continue;
            };
            compared += 1;
            for name in ["traceparent", "tracestate"] {
                if !record.values(name).eq(created.values(name)) {
                    let show = |record: &WireRecord| record.values(name).map(text).collect::<Vec<_>>().join("` and `");
                    facts.place = format!("message {}", shown(&record.message));
                    facts.push(
                        format!(
                            "{name} was `{}` at {} and is `{}` at {}",
                            show(created),
                            created.hop(),
                            show(record),
                            record.hop()
                        ),
                        "a consumer that forwards wrote its own context over that of the message",
                    );
                }
            }
        }
        if compared == 0 {
            return Err(AssertionFailure::new(claim)
                .found("no message was recorded more than once")
                .picture(self.to_string()));
        }
        facts.judge(claim.to_owned(), self)
    }

    /// All messages of one trace carry the same sampled flag. Of a trace that is not sampled the wire is the only witness.
    ///
    /// # Errors
    /// With each message whose flag is not that of the trace's first; also where no message has a valid `traceparent`.
    pub fn sampled_consistently(&self) -> Result<(), AssertionFailure> {
        let claim = "sampled consistently: all messages of one trace carry the same sampled flag";
        let records = self.records();
        let mut first: BTreeMap<TraceId, (u8, &WireRecord)> = BTreeMap::new();
        let mut facts = Facts::default();
        for record in &records {
            let Some(parent) = record.trace_parent() else { continue };
            let flags = parent.flags & SAMPLED;
            let (wanted, before) = *first.entry(parent.trace_id).or_insert((flags, record));
            if flags != wanted {
                facts.place = record.hop();
                facts.push(format!("the sampled flag is {flags}, and was {wanted} at {}", before.hop()), FLIPPED);
            }
        }
        if first.is_empty() {
            return Err(AssertionFailure::new(claim)
                .found("no message has a valid traceparent")
                .picture(self.to_string()));
        }
        facts.judge(claim.to_owned(), self)
    }

    /// Each message carries the context of a span that was received, and that its sender made, with that span's sampled flag.
    ///
    /// Detects a context that is valid but stale.
    ///
    /// # Errors
    /// Lists each message whose `traceparent` names another service's span or an unknown span, or has another sampled flag
    /// than its span.
    pub fn carries_spans_of(&self, graph: &TraceGraph) -> Result<(), AssertionFailure> {
        self.each("each message carries the context of its sender's span".to_owned(), |record, facts| {
            let Some(parent) = record.trace_parent() else {
                facts.push("no valid traceparent", STRIPPED);
                return;
            };
            match graph.get(parent.trace_id, parent.parent_id) {
                Some(span) if span.service() == record.from => {
                    if span.sampled().is_some_and(|sampled| sampled != (parent.flags & SAMPLED != 0)) {
                        facts.push(format!("the sampled flag is not that of {}", span.label()), FLIPPED);
                    }
                }
                Some(span) => facts.push(
                    format!("the parent is {}", span.label()),
                    "the context that the sender itself was called with was sent on, or an old header was kept",
                ),
                None => facts.push(
                    format!("the parent {} was never received", parent.parent_id),
                    "a header left over from an earlier message, or a span that was never recorded",
                ),
            }
        })
    }

    /// Each trace has one value of this baggage key, and no two traces share a value. For a key whose value each request
    /// has its own of.
    ///
    /// # Errors
    /// With each value that is where it should not be; also where no message has the key.
    pub fn no_cross_talk(&self, key: &str) -> Result<(), AssertionFailure> {
        let claim = format!("no cross-talk: one value of baggage `{key}` for each trace, and none in two");
        let mut values: BTreeMap<TraceId, BTreeMap<String, String>> = BTreeMap::new();
        let mut traces: BTreeMap<String, BTreeSet<TraceId>> = BTreeMap::new();
        for record in self.records() {
            let Some(parent) = record.trace_parent() else { continue };
            for member in record.baggage().into_iter().filter(|member| member.key == key) {
                traces.entry(member.value.clone()).or_default().insert(parent.trace_id);
                values.entry(parent.trace_id).or_default().entry(member.value).or_insert_with(|| record.hop());
            }
        }
        if values.is_empty() {
            return Err(AssertionFailure::new(claim).found("no message has it").picture(self.to_string()));
        }
        let mut facts = Facts::default();
        let cause = "a context leaked from one request into another: a guard held across an await, or a thread's context that was not put back";
        for (trace, seen) in values.iter().filter(|(_, seen)| seen.len() > 1) {
            facts.place = format!("trace {trace}");
            for (value, hop) in seen {
                facts.push(format!("`{}` at {hop}", shown(value)), cause);
            }
        }
        for (value, seen) in traces.iter().filter(|(_, seen)| seen.len() > 1) {
            facts.place = format!("the value `{}`", shown(value));
            let list: Vec<String> = seen.iter().map(ToString::to_string).collect();
            facts.push(format!("is in the traces {}", list.join(", ")), cause);
        }
        facts.judge(claim, self)
    }

    fn each(&self, claim: String, check: impl Fn(&WireRecord, &mut Facts)) -> Result<(), AssertionFailure> {
        let records = self.records();
        if records.is_empty() {
            return Err(AssertionFailure::new(claim)
                .found("no message was recorded")
                .cause("the recorder is not where the receiver reads, or nothing was sent"));
        }
        let mut facts = Facts::default();
        for record in &records {
            facts.place = record.hop();
            check(record, &mut facts);
        }
        facts.judge(claim, self)
    }
}

/// Facts against a claim, each with the place where it was found.
#[derive(Default)]
struct Facts {
    place: String,
    found: Vec<(String, &'static str)>,
}

impl Facts {
    fn push(&mut self, fact: impl AsRef<str>, cause: &'static str) {
        self.found.push((format!("{}: {}", self.place, fact.as_ref()), cause));
    }

    fn judge(self, claim: String, wire: &Wire) -> Result<(), AssertionFailure> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut broken = AssertionFailure::new(claim);
        for (fact, cause) in self.found {
            broken = broken.found(fact).cause(cause);
        }
        let picture: Vec<String> = wire.to_string().lines().take(80).map(str::to_owned).collect();
        Err(broken.picture(picture.join("\n")))
    }
}

fn spelled(record: &WireRecord, name: &str, facts: &mut Facts) {
    for field in record.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name) && field.name != name) {
        facts.push(
            format!("it is named `{}`, not `{name}`", shown(&field.name)),
            "readers that compare names exactly do not find it",
        );
    }
}

fn text(value: &[u8]) -> String {
    shown(&String::from_utf8_lossy(value))
}

assertions! {
    Wire:
    /// Exactly one value for each name.
    assert_exactly_one = exactly_one(names: &[&str]);
    /// No more than one value for each name.
    assert_at_most_one = at_most_one(names: &[&str]);
    /// None of these names.
    assert_absent = absent(names: &[&str]);
    /// All context fields are well formed.
    assert_valid_context = valid_context();
    /// No more fields and bytes than these.
    assert_within = within(fields: usize, bytes: usize);
    /// No more baggage than this.
    assert_baggage_within = baggage_within(members: usize, bytes: usize);
    /// No other baggage keys than these.
    assert_baggage_only = baggage_only(keys: &[&str]);
    /// Fields have this type.
    assert_typed = typed(names: &[&str], type_name: &str);
    /// Asserts that a message's context does not change after its creation.
    assert_creation_context_unchanged = creation_context_unchanged();
    /// Each trace is sampled, or not, at every hop.
    assert_sampled_consistently = sampled_consistently();
    /// Contexts are those of the senders' spans.
    assert_carries_spans_of = carries_spans_of(graph: &TraceGraph);
    /// No request's value is in another's trace.
    assert_no_cross_talk = no_cross_talk(key: &str);
}
