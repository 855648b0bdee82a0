use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use propagation_core::{Baggage, Direction, OutboundRule, Peer, Policy, PropagationContext, policy::ExplainedField};
use serde_json::{Map, Value};

use super::{Error, Exit};

pub(super) fn run(file: Option<&Path>, peer: Option<&str>) -> Result<Exit, Error> {
    let policy = match file {
        Some(file) => Policy::from_file(file)?,
        None => Policy::builder().outbound(OutboundRule::peers(["*"]).allow("*").named("everything")).build()?,
    };
    // A rule for `*` applies to any name.
    let first = policy.outbound_peers().find(|peer| super::peer(peer, &policy).is_ok() || peer == "*");
    let first = first.filter(|first| first != "*").unwrap_or_else(|| "process:scan".to_owned());
    let (transport, name) = super::peer(peer.unwrap_or(&first), &policy)?;
    let peer = super::peer_of(transport, &name);
    match scan_all(&policy, &peer, io::stdin().lock(), io::stdout().lock()) {
        // A closed pipe is not an error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Good),
        ended => Ok(ended.map(|()| Exit::Good)?),
    }
}

fn scan_all(policy: &Policy, peer: &Peer<'_>, lines: impl Read, out: impl Write) -> io::Result<()> {
    let (mut lines, mut out) = (BufReader::new(lines), io::BufWriter::new(out));
    let mut line = Vec::new();
    loop {
        // Flushes before a blocking read: the other side may wait for this result.
        if lines.buffer().is_empty() {
            out.flush()?;
        }
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return out.flush();
        }
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
        let text = text.strip_suffix('\r').unwrap_or(&text);
        if !text.is_empty() {
            writeln!(out, "{}", scan(policy, peer, text))?;
        }
    }
}

fn scan(policy: &Policy, peer: &Peer<'_>, line: &str) -> Value {
    // A line without `=` is a value without a key.
    let (key, value) = line.split_once('=').unwrap_or(("", line));
    let mut baggage = Baggage::new();
    // Invalid baggage never crosses.
    if let Err(error) = baggage.set(key, value) {
        return serde_json::json!({ "key": key, "decision": "blocked", "rule": error.to_string() });
    }
    let context = PropagationContext::EMPTY.with_baggage(baggage);
    let explained = policy.explain(Direction::Outbound, peer, &context);
    explained.baggage().next().map_or(Value::Null, |field| json(&explained.rule, field).into())
}

/// Returns JSON on one line, with invisible and bidirectional characters as escapes.
pub(super) fn json_line(value: &Value) -> String {
    use std::fmt::Write;

    let (text, mut out) = (value.to_string(), String::new());
    for letter in text.chars() {
        if letter.is_ascii() || letter.escape_debug().len() == 1 {
            out.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// Returns an explained key as one JSON object.
pub(super) fn json(rule: &str, field: &ExplainedField) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value.into());
        }
    };
    put("key", field.key.as_deref());
    put("decision", Some(field.decision.as_str()));
    put("detector", field.detector.as_deref());
    put("rule", Some(rule));
    put("reason", field.reason.map(propagation_core::RejectReason::as_str));
    put("output", field.output.as_deref());
    put("source", field.source.as_deref());
    object
}
