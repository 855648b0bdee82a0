//! A picture of a trace: one HTML file that needs nothing else.
//!
//! The page has the verdict, a waterfall in which a click on a span shows all that is known about it, links drawn as
//! dashed lines, and, where given, the received messages and the fields that the policy blocked. It loads nothing, works
//! from a file, and follows the reader's choice of light or dark.
//!
//! ```
//! use propagation_testkit::html::Page;
//! use propagation_testkit::trace::{Span, SpanId, TraceGraph, TraceId};
//!
//! let graph = TraceGraph::new([Span::new(TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]), "<b>GET</b>")]);
//! let page = Page::new(&graph).title("An order").render();
//! assert!(page.contains("&lt;b&gt;GET&lt;/b&gt;"), "markup in spans is escaped");
//! ```
//!
//! Names and values in spans come from anywhere. Every one is escaped, none is put into a script, a style or an address,
//! and the page's content security policy allows the one script that is part of it and nothing else.

mod detail;
mod escape;
mod sections;
mod waterfall;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

use self::escape::Text;
use crate::trace::tree::plural;
use crate::trace::{AssertionFailure, Clocks, Continuity, TraceGraph};
use crate::wire::{Wire, WireRecord};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The SHA-256 of the script for the content security policy; a test checks it.
const SCRIPT_HASH: &str = "78pJEQ692c/dt5mueDazoTwhLdGulhlxhzXyiec2dAs=";

/// More traces than this are counted and not drawn: a browser should open the page in a second.
const MOST_TRACES: usize = 60;

/// Something that the policy did not let cross, for the page's list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// The key that was stopped.
    pub key: String,
    /// Where: `gateway → orders over grpc`.
    pub at: String,
    /// Why; never with the value in it.
    pub reason: String,
}

impl Stopped {
    /// This key was stopped there for that reason.
    #[must_use]
    pub fn new(key: impl Into<String>, at: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { key: key.into(), at: at.into(), reason: reason.into() }
    }
}

/// A page about the traces of a graph.
#[derive(Debug, Clone)]
pub struct Page<'g> {
    graph: &'g TraceGraph,
    title: String,
    wire: Option<Vec<WireRecord>>,
    stopped: Option<Vec<Stopped>>,
    reported: Option<Vec<Stopped>>,
    /// The reasons against all traces together, and the verdict text.
    against: Option<(String, Vec<AssertionFailure>)>,
}

impl<'g> Page<'g> {
    /// A page about these traces.
    #[must_use]
    pub fn new(graph: &'g TraceGraph) -> Self {
        Self { graph, title: "Trace".to_owned(), wire: None, stopped: None, reported: None, against: None }
    }

    /// Sets the heading.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// Adds the messages as each receiver read them.
    #[must_use]
    pub fn wire(self, wire: &Wire) -> Self {
        Self { wire: Some(wire.records()), ..self }
    }

    /// Adds the fields that the policy blocked.
    #[must_use]
    pub fn stopped(self, stopped: impl IntoIterator<Item = Stopped>) -> Self {
        Self { stopped: Some(stopped.into_iter().collect()), ..self }
    }

    /// Adds fields that a report-only policy let pass but would have blocked.
    #[must_use]
    pub fn reported(self, reported: impl IntoIterator<Item = Stopped>) -> Self {
        Self { reported: Some(reported.into_iter().collect()), ..self }
    }

    /// Sets an overall failed verdict, with the reasons. The page judges each trace alone and cannot relate traces:
    /// the two halves of a request that lost its trace are each whole.
    #[must_use]
    pub fn broken(self, verdict: impl Into<String>, reasons: impl IntoIterator<Item = AssertionFailure>) -> Self {
        Self { against: Some((verdict.into(), reasons.into_iter().collect())), ..self }
    }

    /// Writes the page to a file, over one that is there.
    ///
    /// # Errors
    /// Whatever keeps the file from being written.
    pub fn write(&self, path: impl AsRef<Path>) -> io::Result<()> {
        std::fs::write(path, self.render())
    }

    /// The page as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = String::with_capacity(64 * 1024);
        // Writing to a string cannot fail.
        let _ = self.write_to(&mut page);
        page
    }

    fn write_to(&self, out: &mut String) -> std::fmt::Result {
        let title = Text(&self.title);
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        )?;
        let clocks = Clocks::of(self.graph);
        let palette = Palette::of(self.graph, &clocks);
        let mut traces = self.graph.traces();
        traces.sort_by_key(|trace| trace.spans().map(|span| clocks.start(span)).min());
        let verdicts: Vec<Continuity> = traces.iter().map(TraceGraph::continuity).collect();
        let whole = verdicts.iter().filter(|verdict| verdict.is_continuous()).count();
        self.write_head(out, &palette, whole, traces.len())?;
        if let Some((_, reasons)) = self.against.as_ref().filter(|(_, reasons)| !reasons.is_empty()) {
            sections::reasons(out, reasons)?;
        }
        for (index, (trace, verdict)) in traces.iter().zip(&verdicts).enumerate().take(MOST_TRACES) {
            let drawing = waterfall::Drawing {
                graph: self.graph,
                trace,
                verdict,
                doubted: self.against.is_some(),
                clocks: &clocks,
                palette: &palette,
            };
            drawing.write(out, index, traces.len() > 3)?;
        }
        if traces.len() > MOST_TRACES {
            writeln!(
                out,
                "<p class=\"note\">and {} that are not drawn</p>",
                plural(traces.len() - MOST_TRACES, "more trace")
            )?;
        }
        if let Some(wire) = &self.wire {
            sections::wire(out, wire, &palette)?;
        }
        if let Some(stopped) = &self.stopped {
            sections::stopped(out, "Stopped by the policy", "Nothing was stopped.", stopped)?;
        }
        if let Some(reported) = &self.reported {
            sections::stopped(out, "Not stopped, as the policy only reports", "Nothing was reported.", reported)?;
        }
        write!(out, "<script>{SCRIPT}</script>\n</body>\n</html>\n")
    }

    fn write_head(&self, out: &mut String, palette: &Palette, whole: usize, all: usize) -> std::fmt::Result {
        let (class, word) = match (whole, all) {
            (_, 1..) if self.against.is_some() => {
                ("bad", format!("✗ {}", self.against.as_ref().map_or("", |(verdict, _)| verdict.as_str())))
            }
            (_, 0) => ("bad", "no spans".to_owned()),
            (0, 1) => ("bad", "✗ broken".to_owned()),
            (whole, all) if whole < all => ("bad", format!("✗ {} of {} broken", all - whole, plural(all, "trace"))),
            (_, 1) => ("good", "✓ continuous".to_owned()),
            (_, all) => ("good", format!("✓ {all} continuous traces")),
        };
        writeln!(
            out,
            "<header>\n<h1>{}</h1><span class=\"verdict {class}\">{}</span>",
            Text(&self.title),
            Text(&word)
        )?;
        writeln!(
            out,
            "<div class=\"tools\"><input id=\"filter\" type=\"search\" placeholder=\"Find a span, attribute or id\" aria-label=\"Find\">\
             <button id=\"fold\" type=\"button\">Fold all</button><label><input id=\"links\" type=\"checkbox\" checked> Links</label></div>"
        )?;
        writeln!(out, "<div class=\"legend\">")?;
        for (service, colour, spans) in &palette.0 {
            writeln!(
                out,
                "<span class=\"chip c{}\"><i></i>{}<small>{spans}</small></span>",
                colour % Palette::COLOURS,
                Text(service)
            )?;
        }
        writeln!(out, "</div>\n</header>")
    }
}

/// Each service with the number of its colour and of its spans, in the order of their first spans.
#[derive(Debug)]
struct Palette(Vec<(String, usize, usize)>);

impl Palette {
    const COLOURS: usize = 12;

    fn of(graph: &TraceGraph, clocks: &Clocks) -> Self {
        let mut services: BTreeMap<&str, (i128, usize)> = BTreeMap::new();
        for span in graph.spans() {
            let start = clocks.start(span);
            let (first, spans) = services.entry(span.service()).or_insert((start, 0));
            *first = start.min(*first);
            *spans += 1;
        }
        let mut ordered: Vec<_> = services.into_iter().collect();
        ordered.sort_by_key(|(_, (first, _))| *first);
        let numbered = ordered.into_iter().enumerate();
        Self(numbered.map(|(colour, (service, (_, spans)))| (service.to_owned(), colour, spans)).collect())
    }

    /// The class of a service's colour; those that made no span have none.
    fn class(&self, service: &str) -> String {
        let found = self.0.iter().find(|(name, _, _)| name == service);
        found.map_or_else(|| "none".to_owned(), |(_, colour, _)| format!("c{}", colour % Self::COLOURS))
    }
}

#[cfg(test)]
mod tests;
