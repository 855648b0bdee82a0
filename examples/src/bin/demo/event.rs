//! Events from services to the demo: one JSON line each on standard output.

use std::{collections::BTreeMap, io::Write};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The service takes requests, at this address if it listens.
    Ready { address: Option<String> },
    /// A message as its receiver read it, before extraction.
    Wire { order: String, from: String, to: String, transport: String, wire: BTreeMap<String, String> },
    /// The policy rejected a field, or reported that it would have.
    Stopped { key: String, at: String, reason: String, rule: String, reported: bool },
    /// An order's tenant in its body and in its baggage differ.
    Tenant { order: String, service: String, body: String, baggage: Option<String> },
    /// The order came all the way back to the gateway.
    Done { order: String },
}

impl Event {
    /// Writes the event to standard output. A write error is ignored: the demo has ended.
    pub(crate) fn print(&self) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            let _ = std::io::stdout().lock().write_all(&line);
        }
    }
}
