//! The details of a span, shown on a click.

use std::fmt::{self, Write};

use super::escape::Text;
use crate::trace::tree::millis;
use crate::trace::{Attributes, Clocks, Span, Status, TraceGraph};

pub(super) fn write(out: &mut String, graph: &TraceGraph, span: &Span, clocks: &Clocks, begin: i128) -> fmt::Result {
    writeln!(out, "<div class=\"detail\" hidden><div class=\"columns\"><section><h3>Span</h3><dl>")?;
    let start = clocks.start(span) - begin;
    pair(out, "name", &span.name)?;
    pair(out, "span", &span.span_id.to_string())?;
    match span.parent {
        Some(parent) if graph.get(span.trace_id, parent).is_some() => {
            writeln!(out, "<dt>parent</dt><dd><a href=\"#s-{}-{parent}\">{parent}</a></dd>", span.trace_id)?;
        }
        Some(parent) => pair(out, "parent", &format!("{parent}, never received"))?,
        None => pair(out, "parent", "none: a root")?,
    }
    pair(
        out,
        "time",
        &format!("{} after the first, {} long", millis(start), millis(i128::from(span.end) - i128::from(span.start))),
    )?;
    let shift = clocks.shift(span);
    if shift != 0 {
        pair(out, "clock", &format!("moved by {}, so that causes come before effects", millis(shift)))?;
    }
    if let Status::Error(why) = &span.status {
        pair(out, "status", &format!("error: {why}"))?;
    }
    if let Some(flags) = span.flags {
        let remote = match span.parent_is_remote() {
            Some(true) => ", parent in another process",
            Some(false) => ", parent in this process or none",
            None => "",
        };
        let sampled = if flags & 1 == 1 { "sampled" } else { "not sampled" };
        pair(out, "flags", &format!("{:02x}: {sampled}{remote}", flags & 0xff))?;
    }
    for (name, value) in [("tracestate", &span.trace_state), ("scope", &span.scope)] {
        if !value.is_empty() {
            pair(out, name, value)?;
        }
    }
    writeln!(out, "</dl></section>")?;
    attributes(out, "Attributes", &span.attributes)?;
    attributes(out, "Resource", &span.resource)?;
    if !span.links.is_empty() {
        writeln!(out, "<section><h3>Links</h3><ul>")?;
        for link in span.links.iter().take(200) {
            match graph.get(link.trace_id, link.span_id) {
                Some(target) => writeln!(
                    out,
                    "<li><a href=\"#s-{}-{}\">{} · {}</a></li>",
                    link.trace_id,
                    link.span_id,
                    Text(target.service()),
                    Text(&target.name)
                )?,
                None => writeln!(out, "<li>{} in trace {}, never received</li>", link.span_id, link.trace_id)?,
            }
        }
        writeln!(out, "</ul></section>")?;
    }
    if !span.events.is_empty() {
        writeln!(out, "<section><h3>Events</h3>")?;
        for event in span.events.iter().take(200) {
            let time = millis(i128::from(event.time) + shift - begin);
            writeln!(out, "<p><b>{}</b> {time}</p><dl>", Text(&event.name))?;
            for (key, value) in event.attributes.iter() {
                pair(out, key, &value.to_string())?;
            }
            writeln!(out, "</dl>")?;
        }
        writeln!(out, "</section>")?;
    }
    writeln!(out, "</div></div>")
}

fn attributes(out: &mut String, title: &str, attributes: &Attributes) -> fmt::Result {
    if attributes.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section><h3>{title}</h3><dl>")?;
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    for (key, value) in sorted {
        pair(out, key, &value.to_string())?;
    }
    writeln!(out, "</dl></section>")
}

fn pair(out: &mut String, key: &str, value: &str) -> fmt::Result {
    writeln!(out, "<dt>{}</dt><dd>{}</dd>", Text(key), Text(value))
}
