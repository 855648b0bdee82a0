//! The sections below the waterfall.

use std::fmt::{self, Write};

use super::escape::Text;
use super::{Palette, Stopped};
use crate::trace::{AssertionFailure, tree::plural};
use crate::wire::WireRecord;

/// More rows than this are counted and not shown.
const MOST: usize = 500;

pub(super) fn wire(out: &mut String, records: &[WireRecord], palette: &Palette) -> fmt::Result {
    writeln!(
        out,
        "<section class=\"below\"><h2>On the wire</h2><p class=\"note\">Fields as each receiver read them, before extraction.</p><div class=\"hops\">"
    )?;
    for record in records.iter().take(MOST) {
        write!(
            out,
            "<article><h3><span class=\"chip {}\"><i></i>{}</span><span class=\"arrow\">→</span><span class=\"chip {}\"><i></i>{}</span><span class=\"over\">{}</span></h3><dl>",
            palette.class(&record.from),
            Text(&record.from),
            palette.class(&record.to),
            Text(&record.to),
            Text(&record.transport)
        )?;
        for field in &record.fields {
            write!(out, "<dt>{}</dt><dd>{}</dd>", Text(&field.name), Text(&String::from_utf8_lossy(&field.value)))?;
        }
        if record.fields.is_empty() {
            out.push_str("<dt class=\"none\">no fields</dt>");
        }
        writeln!(out, "</dl></article>")?;
    }
    writeln!(out, "</div>")?;
    rest(out, records.len(), "message")?;
    writeln!(out, "</section>")
}

/// Writes failures and causes; a cause shared by several is written once.
pub(super) fn reasons(out: &mut String, reasons: &[AssertionFailure]) -> fmt::Result {
    writeln!(out, "<ul class=\"reasons\">")?;
    let mut shown: Vec<&String> = Vec::new();
    for broken in reasons {
        write!(out, "<li><b>{}</b>", Text(broken.claim()))?;
        for fact in broken.facts().iter().take(6) {
            write!(out, "<div>{}</div>", Text(fact))?;
        }
        for cause in broken.causes().iter().take(4) {
            if !shown.contains(&cause) {
                write!(out, "<div class=\"cause\">{}</div>", Text(cause))?;
                shown.push(cause);
            }
        }
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ul>")
}

pub(super) fn stopped(out: &mut String, title: &str, nothing: &str, stopped: &[Stopped]) -> fmt::Result {
    writeln!(out, "<section class=\"below\"><h2>{title}</h2>")?;
    if stopped.is_empty() {
        writeln!(out, "<p class=\"note\">{nothing}</p>")?;
    } else {
        writeln!(out, "<table><thead><tr><th>Key</th><th>At</th><th>Reason</th></tr></thead><tbody>")?;
        for Stopped { key, at, reason } in stopped.iter().take(MOST) {
            writeln!(
                out,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                Text(key),
                Text(at),
                Text(reason)
            )?;
        }
        writeln!(out, "</tbody></table>")?;
    }
    rest(out, stopped.len(), "key")?;
    writeln!(out, "</section>")
}

fn rest(out: &mut String, count: usize, what: &str) -> fmt::Result {
    if count > MOST {
        writeln!(out, "<p class=\"note\">and {}</p>", plural(count - MOST, &format!("more {what}")))?;
    }
    Ok(())
}
