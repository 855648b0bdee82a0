//! The tree as text, with times.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use super::span::shown;
use super::{Clocks, Link, Span, Status, TraceGraph, TraceId};

/// Deeper levels are drawn at this depth: a chain of a thousand spans must not draw a triangle of spaces.
const DEEPEST: usize = 40;

/// One line of a tree: a span and its position.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) at: usize,
    pub(crate) depth: usize,
    /// The lines that lead to it: `│  └─ `.
    pub(crate) guides: String,
}

/// Every span below these tops, parents before children, siblings by their start on the common line.
pub(crate) fn rows(graph: &TraceGraph, tops: &[usize], clocks: &Clocks) -> Vec<Row> {
    let start = |at: &usize| graph.at(*at).map_or(0, |span| clocks.start(span));
    let mut rows = Vec::new();
    let mut stack: Vec<(usize, usize, String, &str)> =
        tops.iter().rev().map(|at| (*at, 0, String::new(), "")).collect();
    while let Some((at, depth, before, turn)) = stack.pop() {
        let below = match turn {
            "├─ " => format!("{before}│  "),
            "└─ " => format!("{before}   "),
            _ => before.clone(),
        };
        let below = if depth < DEEPEST { below } else { before.clone() };
        rows.push(Row { at, depth, guides: before + turn });
        let mut children: Vec<usize> = graph.children_at(at).collect();
        children.sort_by_key(start);
        let last = children.len().saturating_sub(1);
        for (index, child) in children.into_iter().enumerate().rev() {
            stack.push((child, depth + 1, below.clone(), if index == last { "└─ " } else { "├─ " }));
        }
    }
    rows
}

/// A drawing of a graph, or of some of its traces, the earliest first, with remarks beside spans.
#[derive(Debug, Clone)]
pub(crate) struct Tree<'g> {
    graph: &'g TraceGraph,
    traces: Vec<TraceId>,
    limit: usize,
    remarks: HashMap<usize, String>,
}

impl<'g> Tree<'g> {
    pub(crate) fn new(graph: &'g TraceGraph) -> Self {
        let mut begins: HashMap<TraceId, u64> = HashMap::new();
        for span in graph.spans() {
            begins.entry(span.trace_id).and_modify(|begin| *begin = span.start.min(*begin)).or_insert(span.start);
        }
        let mut traces = graph.trace_ids();
        traces.sort_by_key(|trace| begins.get(trace).copied());
        Self { graph, traces, limit: usize::MAX, remarks: HashMap::new() }
    }

    /// Only these traces, in this order, each once; all of them if there are none of these.
    pub(crate) fn traces(mut self, wanted: impl IntoIterator<Item = TraceId>) -> Self {
        let mut traces: Vec<TraceId> = Vec::new();
        for trace in wanted {
            if self.traces.contains(&trace) && !traces.contains(&trace) {
                traces.push(trace);
            }
        }
        if !traces.is_empty() {
            self.traces = traces;
        }
        self
    }

    /// At most this many spans.
    pub(crate) fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Puts this beside a span.
    pub(crate) fn remark(mut self, span: &Span, remark: impl Into<String>) -> Self {
        if let Some(at) = self.graph.position(span.trace_id, span.span_id) {
            self.remarks.insert(at, remark.into());
        }
        self
    }
}

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.graph.is_empty() {
            return writeln!(f, "(no spans were received)");
        }
        let clocks = Clocks::of(self.graph);
        let mut tops: HashMap<TraceId, Vec<usize>> = HashMap::new();
        for top in self.graph.tops() {
            if let Some(span) = self.graph.at(*top) {
                tops.entry(span.trace_id).or_default().push(*top);
            }
        }
        let mut left = self.limit;
        for (index, trace) in self.traces.iter().enumerate() {
            if left == 0 {
                return writeln!(f, "… and {} more traces", self.traces.len() - index);
            }
            if index > 0 {
                writeln!(f)?;
            }
            left = self.write_trace(f, *trace, tops.remove(trace).unwrap_or_default(), &clocks, left)?;
        }
        Ok(())
    }
}

impl Tree<'_> {
    /// Writes one trace and returns how many more spans may be written.
    fn write_trace(
        &self,
        f: &mut fmt::Formatter<'_>,
        trace: TraceId,
        mut tops: Vec<usize>,
        clocks: &Clocks,
        limit: usize,
    ) -> Result<usize, fmt::Error> {
        let graph = self.graph;
        tops.sort_by_key(|at| graph.at(*at).map(|span| (!graph.is_root(span), clocks.start(span))));
        let rows = rows(graph, &tops, clocks);
        let spans = || rows.iter().filter_map(|row| graph.at(row.at));
        let begin = spans().map(|span| clocks.start(span)).min().unwrap_or_default();
        let end = spans().map(|span| clocks.end(span)).max().unwrap_or_default();
        let services: BTreeSet<&str> = spans().map(Span::service).collect();
        writeln!(
            f,
            "trace {trace} · {} · {} · {}",
            plural(rows.len(), "span"),
            plural(services.len(), "service"),
            millis(end - begin).trim_start()
        )?;
        let width = services.iter().map(|name| shown(name).chars().count()).max().unwrap_or_default().min(24);
        for row in rows.iter().take(limit) {
            let Some(span) = graph.at(row.at) else {
                continue;
            };
            let (at, took) =
                (millis(clocks.start(span) - begin), millis(i128::from(span.end) - i128::from(span.start)));
            let mark = if graph.is_orphan(span) { "?─ " } else { "" };
            write!(
                f,
                "{at:>12} {took:>12}  {:<width$}  {}{mark}{} [{}]",
                shown(span.service()),
                row.guides,
                shown(&span.name),
                span.kind
            )?;
            if let Status::Error(message) = &span.status {
                write!(f, " ✗ {}", if message.is_empty() { "error".to_owned() } else { shown(message) })?;
            }
            if let Some(parent) = span.parent.filter(|_| graph.is_orphan(span)) {
                write!(f, "   ◀ its parent {parent} was never received")?;
            }
            if let Some(remark) = self.remarks.get(&row.at) {
                write!(f, "   ◀ {remark}")?;
            }
            writeln!(f)?;
            let guides = row.guides.replace("├─ ", "│  ").replace("└─ ", "   ");
            for link in span.links.iter().take(8) {
                writeln!(f, "{:>27}{:<width$}  {guides}   ↪ {}", "", "", target(graph, span, link))?;
            }
            if span.links.len() > 8 {
                writeln!(
                    f,
                    "{:>27}{:<width$}  {guides}   ↪ … and {} more",
                    "",
                    "",
                    plural(span.links.len() - 8, "link")
                )?;
            }
        }
        if rows.len() > limit {
            writeln!(f, "{:>27}… and {}", "", plural(rows.len() - limit, "more span"))?;
        }
        Ok(limit.saturating_sub(rows.len()))
    }
}

/// Where a link leads, in words.
pub(crate) fn target(graph: &TraceGraph, from: &Span, link: &Link) -> String {
    let elsewhere = if link.trace_id == from.trace_id { String::new() } else { format!(" in trace {}", link.trace_id) };
    match graph.get(link.trace_id, link.span_id) {
        Some(span) => format!("links to {}{elsewhere}", span.label()),
        None => format!("links to {}{elsewhere}, never received", link.span_id),
    }
}

pub(crate) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Nanoseconds as milliseconds, to the microsecond: fine enough for one process, and columns of it compare at a glance.
pub(crate) fn millis(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let micros = nanos.unsigned_abs() / 1_000;
    format!("{sign}{}.{:03} ms", micros / 1_000, micros % 1_000)
}

impl fmt::Display for TraceGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Tree::new(self).fmt(f)
    }
}

impl fmt::Debug for TraceGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\n")?;
        fmt::Display::fmt(self, f)
    }
}
