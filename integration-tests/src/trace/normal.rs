//! The tree without ids, times and order: for snapshots.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::span::shown;
use super::tree::Row;
use super::{Span, Status, TraceGraph};

/// A drawing of a graph that is the same in each run: no times, ids numbered in the order of the drawing, siblings in the
/// order of their names and subtrees. Made for snapshot tests.
///
/// ```
/// use propagation_testkit::trace::{Span, SpanId, TraceGraph, TraceId};
/// let (trace, root) = (TraceId::from_bytes([7; 16]), SpanId::from_bytes([1; 8]));
/// let mut child = Span::new(trace, SpanId::from_bytes([2; 8]), "query");
/// child.parent = Some(root);
/// let graph = TraceGraph::new([child, Span::new(trace, root, "GET /")]);
/// assert_eq!(graph.normalized().to_string(), "\
/// trace 1
///   #1 unknown_service · GET / [internal]
///     #2 unknown_service · query [internal]
/// ");
/// ```
#[derive(Debug, Clone)]
pub struct Normalized<'g> {
    graph: &'g TraceGraph,
    attributes: Vec<String>,
}

impl TraceGraph {
    /// The tree without times and ids, for snapshots.
    #[must_use]
    pub fn normalized(&self) -> Normalized<'_> {
        Normalized { graph: self, attributes: Vec::new() }
    }
}

impl Normalized<'_> {
    /// Shows these attributes too, where a span has them.
    #[must_use]
    pub fn with_attributes<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.attributes.extend(keys.into_iter().map(Into::into));
        self
    }

    fn label(&self, span: &Span) -> String {
        let mut label = format!("{} · {} [{}]", shown(span.service()), shown(&span.name), span.kind);
        let shown_attributes: Vec<String> = self
            .attributes
            .iter()
            .filter_map(|key| span.attribute(key).map(|value| format!("{key}={}", shown(&value.to_string()))))
            .collect();
        if !shown_attributes.is_empty() {
            label.push_str(&format!(" {{{}}}", shown_attributes.join(", ")));
        }
        if let Status::Error(message) = &span.status {
            label.push_str(&format!(" ✗ {}", if message.is_empty() { "error".to_owned() } else { shown(message) }));
        }
        if self.graph.is_orphan(span) {
            label.push_str(" (orphan)");
        }
        label
    }

    /// Returns a rank for each span, ordered by label, then by subtree.
    fn ranks(&self) -> Vec<usize> {
        let graph = self.graph;
        let labels: Vec<String> =
            (0..graph.len()).map(|at| graph.at(at).map(|span| self.label(span)).unwrap_or_default()).collect();
        let mut by_height: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, height) in heights(graph).into_iter().enumerate() {
            by_height.entry(height).or_default().push(at);
        }
        let mut ranks = vec![0; graph.len()];
        let mut next = 0;
        for same_height in by_height.into_values() {
            let mut groups: BTreeMap<(&str, Vec<usize>), Vec<usize>> = BTreeMap::new();
            for at in same_height {
                let mut below: Vec<usize> =
                    graph.children_at(at).filter_map(|child| ranks.get(child).copied()).collect();
                below.sort_unstable();
                groups.entry((labels.get(at).map_or("", String::as_str), below)).or_default().push(at);
            }
            for group in groups.into_values() {
                for at in group {
                    if let Some(rank) = ranks.get_mut(at) {
                        *rank = next;
                    }
                }
                next += 1;
            }
        }
        // Heights came first above; among siblings the label does.
        let mut order: Vec<usize> = (0..graph.len()).collect();
        order.sort_by_key(|at| (labels.get(*at).map_or("", String::as_str), ranks.get(*at).copied()));
        let mut positions = vec![0; graph.len()];
        let mut before = None;
        let mut position = 0;
        for at in order {
            let rank = ranks.get(at).copied();
            position += usize::from(before.is_some() && before != Some(rank));
            before = Some(rank);
            if let Some(slot) = positions.get_mut(at) {
                *slot = position;
            }
        }
        positions
    }

    /// Lines of the whole drawing: tops of each trace, traces in the order of their first top.
    fn rows(&self) -> Vec<(usize, Vec<Row>)> {
        let graph = self.graph;
        let ranks = self.ranks();
        let rank = |at: &usize| ranks.get(*at).copied().unwrap_or_default();
        let mut traces: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for top in graph.tops() {
            if let Some(span) = graph.at(*top) {
                traces.entry(span.trace_id).or_default().push(*top);
            }
        }
        let mut traces: Vec<Vec<usize>> = traces.into_values().collect();
        for tops in &mut traces {
            tops.sort_by_key(|at| (graph.at(*at).is_some_and(|span| graph.is_orphan(span)), rank(at)));
        }
        traces.sort_by_key(|tops| tops.iter().map(rank).collect::<Vec<_>>());
        let mut drawn = Vec::new();
        for (number, tops) in traces.into_iter().enumerate() {
            let mut rows = Vec::new();
            let mut stack: Vec<(usize, usize)> = tops.into_iter().rev().map(|at| (at, 0)).collect();
            while let Some((at, depth)) = stack.pop() {
                rows.push(Row { at, depth, guides: String::new() });
                let mut children: Vec<usize> = graph.children_at(at).collect();
                children.sort_by_key(rank);
                stack.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
            }
            drawn.push((number + 1, rows));
        }
        drawn
    }
}

impl fmt::Display for Normalized<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traces = self.rows();
        let numbers: HashMap<usize, usize> =
            traces.iter().flat_map(|(_, rows)| rows).enumerate().map(|(index, row)| (row.at, index + 1)).collect();
        let number = |at: usize| numbers.get(&at).copied().unwrap_or_default();
        for (trace, rows) in &traces {
            writeln!(f, "trace {trace}")?;
            for row in rows {
                let Some(span) = self.graph.at(row.at) else {
                    continue;
                };
                let indent = "  ".repeat(row.depth.min(40) + 1);
                writeln!(f, "{indent}#{} {}", number(row.at), self.label(span))?;
                let mut links: Vec<String> = span
                    .links
                    .iter()
                    .map(|link| match self.graph.position(link.trace_id, link.span_id) {
                        Some(at) => format!("#{}", number(at)),
                        None => "a span never received".to_owned(),
                    })
                    .collect();
                links.sort_by_key(|link| (link.len(), link.clone()));
                for link in links {
                    writeln!(f, "{indent}  ↪ {link}")?;
                }
            }
        }
        Ok(())
    }
}

/// How many levels are below each span.
fn heights(graph: &TraceGraph) -> Vec<usize> {
    let mut heights = vec![0; graph.len()];
    let mut order = Vec::new();
    let mut stack: Vec<usize> = graph.tops().to_vec();
    while let Some(at) = stack.pop() {
        order.push(at);
        stack.extend(graph.children_at(at));
    }
    for at in order.into_iter().rev() {
        let below = graph.children_at(at).filter_map(|child| heights.get(child)).max().map_or(0, |below| below + 1);
        if let Some(height) = heights.get_mut(at) {
            *height = below;
        }
    }
    heights
}
