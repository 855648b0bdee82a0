//! `docs/performance.svg`, from the lines that the bench has printed: whole requests beside peers, as bars.

use std::fmt::Write;

use super::table::{Line, add, grouped, lines};

/// The groups of bars: a title, and the case.
const GROUPS: [(&str, &str); 8] = [
    ("HTTP server, OpenTelemetryBridge", "whole-server-full-otel"),
    ("HTTP server, TracingBridge", "whole-server-full-tracing"),
    ("HTTP client, OpenTelemetryBridge", "whole-client-full-otel"),
    ("HTTP client, TracingBridge", "whole-client-full-tracing"),
    ("gRPC server, OpenTelemetryBridge", "whole-grpc-server-full-otel"),
    ("gRPC client, OpenTelemetryBridge", "whole-grpc-client-full-otel"),
    ("Kafka send, OpenTelemetryBridge", "whole-kafka-send-full-otel"),
    ("Kafka process, OpenTelemetryBridge", "whole-kafka-process-full-otel"),
];

const LEFT: f64 = 270.0;
const WIDTH: f64 = 400.0;
const BAR: f64 = 18.0;

/// Draws the picture.
pub(crate) fn of(text: &str) -> String {
    let lines = lines(text);
    let rows: Vec<(&str, Vec<&Line<'_>>)> = GROUPS
        .iter()
        .map(|(title, case)| {
            let of_case = lines.iter().filter(|line| line.case == *case && line.what == "instructions");
            (*title, of_case.collect())
        })
        .filter(|(_, lines): &(_, Vec<_>)| !lines.is_empty())
        .collect();
    let most = rows.iter().flat_map(|(_, lines)| lines).map(|line| line.ours.max(line.theirs)).fold(1.0, f64::max);
    let mut body = String::new();
    let mut y = 34.0;
    for (title, lines) in &rows {
        add(&mut body, format_args!("<text class=\"t\" x=\"8\" y=\"{}\">{title}</text>\n", y + 14.0));
        y += 22.0;
        let mut bar = |name: &str, class: &str, value: f64| {
            let (middle, width) = (y + 13.0, value / most * WIDTH);
            let value_at = LEFT + width + 6.0;
            add(&mut body, format_args!("<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>", LEFT - 8.0));
            add(
                &mut body,
                format_args!("<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.0}\" height=\"14\"/>"),
            );
            add(&mut body, format_args!("<text x=\"{value_at:.0}\" y=\"{middle}\">{}</text>\n", grouped(value)));
            y += BAR;
        };
        if let Some(first) = lines.first() {
            bar("ours", "o", first.ours);
        }
        for line in lines.iter().filter(|line| line.peer != "none") {
            bar(line.peer, "p", line.theirs);
        }
        y += 10.0;
    }
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{y}\" viewBox=\"0 0 760 {y}\" role=\"img\" \
         aria-label=\"Instructions per operation, ours beside others\">\n\
         <style>rect.b{{fill:#fff}}text{{font:12px sans-serif;fill:#24292f}}.t{{font-weight:bold}}.o{{fill:#1f6feb}}.p{{fill:#afb8c1}}</style>\n\
         <rect class=\"b\" width=\"760\" height=\"{y}\"/>\n\
         <text x=\"8\" y=\"20\">Instructions per operation, with a span, three headers and five allowed baggage keys; less is better</text>"
    );
    out + &body + "</svg>\n"
}
