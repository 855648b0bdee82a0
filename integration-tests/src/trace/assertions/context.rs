//! Flags and tracestate.

use std::collections::BTreeMap;

use crate::trace::span::shown;
use crate::trace::{AssertionFailure, Span, TraceGraph, TraceId, causes};

/// Assertions on the context beside the ids.
impl TraceGraph {
    /// All spans of a trace carry the same sampled flag. Spans whose flags are not known are left out.
    ///
    /// # Errors
    /// With each span whose flag differs from its parent's.
    pub fn sampled_consistently(&self) -> Result<(), AssertionFailure> {
        self.same_flags("sampled consistently: one sampled flag for each trace", 0x01)
    }

    /// All spans of a trace carry the same W3C flags, sampled and random. Spans whose flags are not known are left out.
    ///
    /// # Errors
    /// With each span whose flags differ from its parent's.
    pub fn flags_preserved(&self) -> Result<(), AssertionFailure> {
        self.same_flags("flags preserved: the same trace flags in each trace", 0xff)
    }

    fn same_flags(&self, claim: &str, mask: u8) -> Result<(), AssertionFailure> {
        let flags = |span: &Span| span.trace_flags().map(|flags| flags & mask);
        let mut broken = AssertionFailure::new(claim);
        let mut first: BTreeMap<TraceId, &Span> = BTreeMap::new();
        let mut wrong = Vec::new();
        for span in self.spans().filter(|span| span.trace_flags().is_some()) {
            // Against the parent, so that the hop that changed it is named, else against the first of the trace.
            let model = match self.parent(span).filter(|parent| parent.trace_flags().is_some()) {
                Some(parent) => parent,
                None => *first.entry(span.trace_id).or_insert(span),
            };
            let (Some(want), Some(have)) = (flags(model), flags(span)) else {
                continue;
            };
            if want != have {
                broken = broken
                    .found(format!("{} has flags {have:02x}, {} has {want:02x}", span.label(), model.label()))
                    .cause(format!("the flag was flipped at the hop {}", causes::hop(model, span)));
                wrong.push(span);
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let mut tree = self.picture(wrong.iter().map(|span| span.trace_id));
        for span in wrong {
            tree = tree.remark(span, format!("flags {:02x}", flags(span).unwrap_or_default()));
        }
        Err(broken.picture(tree.to_string()))
    }

    /// Each span's `tracestate` still has each member that its parent's has, in the same order. A member may change its
    /// value if it is first then, as the specification allows its owner; members may be added in front.
    ///
    /// # Errors
    /// With each span that lost, moved or changed one.
    pub fn trace_state_preserved(&self) -> Result<(), AssertionFailure> {
        let mut broken = AssertionFailure::new("tracestate preserved: each member goes on to the children, in order");
        let mut wrong = Vec::new();
        for span in self.spans() {
            let Some(parent) = self.parent(span) else {
                continue;
            };
            let (above, below) = (members(&parent.trace_state), members(&span.trace_state));
            if above == below {
                continue;
            }
            let kept: Vec<_> = below.iter().filter(|(key, _)| above.iter().any(|(other, _)| other == key)).collect();
            let updated = kept
                .first()
                .filter(|first| below.first() == Some(**first) && !above.contains(first))
                .map(|(key, _)| *key);
            let expected = above.iter().filter(|(key, _)| Some(*key) != updated);
            let left = kept.into_iter().filter(|(key, _)| Some(*key) != updated);
            if !expected.eq(left) {
                broken = broken
                    .found(format!("{} has `{}`", span.label(), shown(&span.trace_state)))
                    .found(format!("  its parent {} has `{}`", parent.label(), shown(&parent.trace_state)))
                    .cause(format!(
                        "tracestate was dropped, cut or reordered at the hop {}",
                        causes::hop(parent, span)
                    ));
                wrong.push(span);
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(broken.picture(self.picture(wrong.iter().map(|span| span.trace_id)).to_string()))
    }

    /// Each trace has at most one value of this attribute, over all its spans, and no two traces share a value. Use it with
    /// an attribute that is unique to each request, to detect cross-talk between requests.
    ///
    /// # Errors
    /// With each trace that has several values and each value that several traces have; also if no span has the attribute.
    pub fn one_value_per_trace(&self, key: &str) -> Result<(), AssertionFailure> {
        let mut broken =
            AssertionFailure::new(format!("no cross-talk: one value of `{key}` for each trace, and none in two"));
        let mut values: BTreeMap<TraceId, BTreeMap<String, &Span>> = BTreeMap::new();
        let mut traces: BTreeMap<String, BTreeMap<TraceId, &Span>> = BTreeMap::new();
        for span in self.spans() {
            if let Some(value) = span.attribute(key).map(ToString::to_string) {
                values.entry(span.trace_id).or_default().entry(value.clone()).or_insert(span);
                traces.entry(value).or_default().entry(span.trace_id).or_insert(span);
            }
        }
        if values.is_empty() {
            return Err(broken
                .found("no span has it")
                .cause("a rule that copies it to spans is missing, or the attribute has another name"));
        }
        let mut wrong = Vec::new();
        for (trace, seen) in values.iter().filter(|(_, seen)| seen.len() > 1) {
            broken = broken.found(format!("trace {trace} has {} values:", seen.len()));
            for (value, span) in seen {
                broken = broken.found(format!("  `{}` at {}", shown(value), span.label()));
            }
            wrong.push(*trace);
        }
        for (value, seen) in traces.iter().filter(|(_, seen)| seen.len() > 1) {
            broken = broken.found(format!("`{}` is in {} traces:", shown(value), seen.len()));
            for (trace, span) in seen {
                broken = broken.found(format!("  {trace} at {}", span.label()));
                wrong.push(*trace);
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let broken = broken.cause("a context leaked from one request into another: a guard held across an await, or a thread's context that was not put back");
        Err(broken.picture(self.picture(wrong).to_string()))
    }
}

fn members(trace_state: &str) -> Vec<(&str, &str)> {
    let members = trace_state.split(',').map(str::trim).filter(|member| !member.is_empty());
    members.map(|member| member.split_once('=').unwrap_or((member, ""))).collect()
}
