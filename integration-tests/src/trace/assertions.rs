//! Assertions on a trace, one file for each subject.
//!
//! Each assertion is a method that returns `Result<(), AssertionFailure>`. Its variant `assert_…` panics with the failure and
//! returns the graph, so that a test can chain them.

mod context;
mod edges;
mod links;
mod meaning;
mod shape;
mod times;
mod verdict;

pub use verdict::Continuity;

use super::conventions::Version;
#[cfg(feature = "schema")]
use super::schema::Schema;
use super::tree::Tree;
use super::{SpanId, SpanSelector, TraceGraph, TraceId};
use crate::assertions::assertions;

/// Failures show at most this many spans: more hide the one that matters.
const PICTURED: usize = 60;

impl TraceGraph {
    /// The picture for a failure that concerns these traces.
    fn picture(&self, traces: impl IntoIterator<Item = TraceId>) -> Tree<'_> {
        Tree::new(self).traces(traces.into_iter().take(4)).limit(PICTURED)
    }
}

assertions! {
    TraceGraph:
    /// The trace is whole: the sum of the claims on its shape.
    assert_continuous = continuous();
    /// Each trace begins with a server or a consumer span.
    assert_entered = entered();
    /// Exactly one span has no parent.
    assert_one_root = one_root();
    /// All spans hang together.
    assert_connected = connected();
    /// Each parent was received.
    assert_no_orphans = no_orphans();
    /// All ids are legal, unique, and form no loop.
    assert_ids_valid = ids_valid();
    /// All spans are of one trace.
    assert_one_trace = one_trace();
    /// There are spans of these traces and of no other.
    assert_only_traces = only_traces(traces: &[TraceId]);
    /// Each of these services made a span.
    assert_services = services_seen(services: &[&str]);
    /// Exactly so many spans are meant.
    assert_count = count(which: impl Into<SpanSelector>, times: usize);
    /// Asserts that no exporter dropped attributes, events or links.
    assert_nothing_dropped = nothing_dropped();
    /// Some span is the child of another.
    assert_edge = edge(parent: impl Into<SpanSelector>, child: impl Into<SpanSelector>);
    /// Spans are parent and child one to one.
    assert_each_edge = each_edge(parent: impl Into<SpanSelector>, child: impl Into<SpanSelector>);
    /// Some span links to another.
    assert_link = link(from: impl Into<SpanSelector>, to: impl Into<SpanSelector>);
    /// Spans link one to one.
    assert_each_link = each_link(from: impl Into<SpanSelector>, to: impl Into<SpanSelector>);
    /// A span has exactly these links.
    assert_links_exactly = links_exactly(from: impl Into<SpanSelector>, expected: &[(TraceId, SpanId)]);
    /// One span leads to another by parents or links.
    assert_reachable = reachable(from: impl Into<SpanSelector>, to: impl Into<SpanSelector>);
    /// All spans of a trace carry the same sampled flag.
    assert_sampled_consistently = sampled_consistently();
    /// All spans of a trace carry the same flags.
    assert_flags_preserved = flags_preserved();
    /// No member of a tracestate is lost on the way down.
    assert_trace_state_preserved = trace_state_preserved();
    /// Each trace has one value of this attribute.
    assert_one_value_per_trace = one_value_per_trace(key: &str);
    /// These spans began one after the other.
    assert_ordered = ordered(steps: &[SpanSelector]);
    /// Asserts that no span begins before its cause.
    assert_causal_times = causal_times();
    /// Asserts that each span follows the semantic conventions.
    assert_conventions = conventions(version: Version);
    /// Asserts that each span has the recommended attributes, except for these keys.
    assert_recommended = recommended(version: Version, except: &[&str]);
    /// Asserts that the spans comply with a schema.
    #[cfg(feature = "schema")]
    assert_schema = schema(schema: &Schema);
}
