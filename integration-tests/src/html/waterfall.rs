//! The waterfall of one trace.

use std::fmt::{self, Write};

use super::escape::Text;
use super::{Palette, detail, sections};
use crate::trace::causes::transport;
use crate::trace::tree::{Row, plural, rows};
use crate::trace::{Clocks, Continuity, Span, Status, TraceGraph};

/// More spans than this are counted and not drawn.
const MOST_SPANS: usize = 4_000;

pub(super) struct Drawing<'p> {
    /// Everything, to find the targets of links.
    pub(super) graph: &'p TraceGraph,
    /// The trace to draw.
    pub(super) trace: &'p TraceGraph,
    pub(super) verdict: &'p Continuity,
    /// Whether something speaks against all traces together, so that this one is not called whole.
    pub(super) doubted: bool,
    pub(super) clocks: &'p Clocks,
    pub(super) palette: &'p Palette,
}

/// The time from the first start to the last end.
struct Extent {
    begin: i128,
    length: i128,
}

impl Extent {
    /// Where a time is, in hundredths of a percent: whole numbers, so that nothing odd can get into a style.
    fn place(&self, time: i128) -> i128 {
        ((time - self.begin) * 10_000 / self.length).clamp(0, 10_000)
    }
}

struct Percent(i128);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

impl Drawing<'_> {
    pub(super) fn write(&self, out: &mut String, index: usize, folded: bool) -> fmt::Result {
        let Some(first) = self.trace.spans().next() else { return Ok(()) };
        let spans = || self.trace.spans();
        let begin = spans().map(|span| self.clocks.start(span)).min().unwrap_or_default();
        let end = spans().map(|span| self.clocks.end(span)).max().unwrap_or_default();
        let extent = Extent { begin, length: (end - begin).max(1) };
        let mut tops = self.trace.tops().to_vec();
        tops.sort_by_key(|at| self.trace.at(*at).map(|span| (!self.trace.is_root(span), self.clocks.start(span))));
        let name = tops.first().and_then(|at| self.trace.at(*at)).map_or("", |span| &span.name);
        let open = if folded && index > 0 && self.verdict.is_continuous() { "" } else { " open" };
        let (class, mark) = match (self.verdict.is_continuous(), self.doubted) {
            (true, false) => ("good", "✓"),
            (true, true) => ("", "·"),
            (false, _) => ("bad", "✗"),
        };
        writeln!(
            out,
            "<details class=\"trace\"{open}><summary><span class=\"mark {class}\">{mark}</span><b>{}</b><code>{}</code>\
             <span class=\"facts\">{} · {} · {} · {}</span></summary>",
            Text(name),
            first.trace_id,
            plural(self.trace.len(), "span"),
            plural(self.verdict.services.len(), "service"),
            brief(end - begin),
            date(begin)
        )?;
        if !self.verdict.is_continuous() {
            sections::reasons(out, &self.verdict.broken)?;
        }
        write!(
            out,
            "<div class=\"rows\"><svg class=\"links\" aria-hidden=\"true\"></svg>\n<div class=\"axis\"><span></span><div>"
        )?;
        for tick in 0..5_i128 {
            let time = brief(extent.length * tick / 5);
            write!(out, "<span style=\"left:{}\">{time}</span>", Percent(tick * 2_000))?;
        }
        writeln!(out, "</div></div>")?;
        let rows = rows(self.trace, &tops, self.clocks);
        for (place, row) in rows.iter().enumerate().take(MOST_SPANS) {
            let parent = rows.get(place + 1).is_some_and(|next| next.depth > row.depth);
            if let Some(span) = self.trace.at(row.at) {
                self.write_row(out, row, span, parent, &extent)?;
            }
        }
        if rows.len() > MOST_SPANS {
            writeln!(out, "<p class=\"note\">and {}</p>", plural(rows.len() - MOST_SPANS, "more span"))?;
        }
        writeln!(out, "</div></details>")
    }

    fn write_row(&self, out: &mut String, row: &Row, span: &Span, has_children: bool, extent: &Extent) -> fmt::Result {
        let failed = matches!(span.status, Status::Error(_));
        let orphan = self.trace.is_orphan(span);
        let colour = self.palette.class(span.service());
        let mut classes = format!("row {colour}");
        for (class, fits) in [("failed", failed), ("orphan", orphan)] {
            if fits {
                classes.push(' ');
                classes.push_str(class);
            }
        }
        let mut links = String::new();
        for link in span.links.iter().filter(|link| self.graph.get(link.trace_id, link.span_id).is_some()).take(64) {
            write!(links, "{}s-{}-{}", if links.is_empty() { "" } else { " " }, link.trace_id, link.span_id)?;
        }
        writeln!(
            out,
            "<div class=\"{classes}\" id=\"s-{}-{}\" tabindex=\"0\" data-depth=\"{}\" data-links=\"{links}\">",
            span.trace_id, span.span_id, row.depth
        )?;
        self.write_name(out, row, span, has_children, orphan)?;
        let (start, end) = (self.clocks.start(span), self.clocks.end(span));
        let (left, right) = (extent.place(start), extent.place(end));
        let took = brief(i128::from(span.end) - i128::from(span.start));
        // The label's position depends on the room: right of the bar, left of it, or inside.
        let (side, at) = match (left, right) {
            (_, ..=8_600) => ("after", Percent(right)),
            _ if right - left >= 1_000 => ("inside", Percent(left)),
            _ => ("before", Percent(10_000 - left)),
        };
        let edge = if side == "before" { "right" } else { "left" };
        writeln!(
            out,
            "<div class=\"track\"><span class=\"bar k-{}\" style=\"left:{};width:{}\"></span><span class=\"took {side}\" style=\"{edge}:{at}\">{took}</span></div>\n</div>",
            span.kind,
            Percent(left),
            Percent((right - left).max(0))
        )?;
        detail::write(out, self.graph, span, self.clocks, extent.begin)
    }

    fn write_name(&self, out: &mut String, row: &Row, span: &Span, has_children: bool, orphan: bool) -> fmt::Result {
        write!(out, "<div class=\"name\" style=\"--depth:{}\">", row.depth.min(30))?;
        if has_children {
            out.push_str("<button class=\"fold\" type=\"button\" aria-label=\"Fold\">▾</button>");
        } else {
            out.push_str("<span class=\"leaf\"></span>");
        }
        let hop = self.trace.parent(span).is_none_or(|parent| parent.service() != span.service());
        write!(out, "<i class=\"stripe\"></i>")?;
        if hop {
            write!(out, "<b>{}</b>", Text(span.service()))?;
            let over = transport(span);
            if !over.is_empty() {
                write!(out, "<span class=\"over\">{}</span>", Text(over))?;
            }
        }
        write!(
            out,
            "<span class=\"label\" title=\"{0}\">{0}</span><span class=\"kind\">{1}</span>",
            Text(&span.name),
            span.kind
        )?;
        if !span.links.is_empty() {
            write!(
                out,
                "<span class=\"linked\" title=\"{0}\">↪{1}</span>",
                plural(span.links.len(), "link"),
                span.links.len()
            )?;
        }
        if orphan {
            out.push_str("<span class=\"flag\">parent never received</span>");
        }
        if let Status::Error(why) = &span.status {
            write!(out, "<span class=\"flag\">✗ {}</span>", Text(if why.is_empty() { "error" } else { why }))?;
        }
        writeln!(out, "</div>")
    }
}

/// Nanoseconds to three digits or so, in the unit that suits.
fn brief(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let scaled = |unit: u128, decimals: u32| {
        let scale = 10_u128.pow(decimals);
        let parts = (nanos.unsigned_abs() * scale + unit / 2) / unit;
        match decimals {
            0 => format!("{sign}{parts}"),
            _ => format!("{sign}{}.{:0width$}", parts / scale, parts % scale, width = decimals as usize),
        }
    };
    match nanos.unsigned_abs() {
        0 => "0".to_owned(),
        1..1_000_000 => format!("{} µs", scaled(1_000, 0)),
        1_000_000..10_000_000 => format!("{} ms", scaled(1_000_000, 2)),
        10_000_000..100_000_000 => format!("{} ms", scaled(1_000_000, 1)),
        100_000_000..1_000_000_000 => format!("{} ms", scaled(1_000_000, 0)),
        _ => format!("{} s", scaled(1_000_000_000, 2)),
    }
}

/// Nanoseconds since the epoch as a date and time of day, UTC.
fn date(nanos: i128) -> String {
    let seconds = nanos.div_euclid(1_000_000_000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 0000-03-01, in eras of 400 years: leap days then fall on the last day of a year.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year + era * 400) } else { (month - 9, year + era * 400 + 1) };
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_in_the_unit_that_suits() {
        for (nanos, text) in [
            (0, "0"),
            (900_400, "900 µs"),
            (3_905_000, "3.91 ms"),
            (21_000_000, "21.0 ms"),
            (132_400_000, "132 ms"),
            (-1_500_000_000, "-1.50 s"),
        ] {
            assert_eq!(super::brief(nanos), text);
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(super::date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(super::date(1_709_210_096_000_000_000), "2024-02-29 12:34:56 UTC");
        assert_eq!(super::date(1_700_000_000_000_000_000), "2023-11-14 22:13:20 UTC");
    }
}
