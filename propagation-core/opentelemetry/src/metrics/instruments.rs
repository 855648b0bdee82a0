use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, UpDownCounter},
};

use super::{
    conventions::{ACTIVE, CONSUMED, HTTP_CLIENT, HTTP_SERVER, OPERATION, RPC_CLIENT, RPC_SERVER, SENT, lists},
    measured::Noted,
};
use propagation_core::{Attribute, AttributeValue, Outcome, SpanKind, hop::MessageSource, semconv};

use crate::bridge::attribute;

/// The bucket boundaries that the conventions advise for every duration, in seconds.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// One instrument for each metric.
pub(super) struct Instruments {
    active: UpDownCounter<i64>,
    http_server: Histogram<f64>,
    http_client: Histogram<f64>,
    rpc_server: Histogram<f64>,
    rpc_client: Histogram<f64>,
    operation: Histogram<f64>,
    process: Histogram<f64>,
    sent: Counter<u64>,
    consumed: Counter<u64>,
    received: Arc<Received>,
    destinations: bool,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let duration = |name: &'static str, description: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        let messages = |name: &'static str, description: &'static str| {
            meter.u64_counter(name).with_unit("{message}").with_description(description).build()
        };
        let active = meter.i64_up_down_counter(semconv::HTTP_SERVER_ACTIVE_REQUESTS).with_unit("{request}");
        Self {
            active: active.with_description("Number of active HTTP server requests.").build(),
            http_server: duration(semconv::HTTP_SERVER_REQUEST_DURATION, "Duration of HTTP server requests."),
            http_client: duration(semconv::HTTP_CLIENT_REQUEST_DURATION, "Duration of HTTP client requests."),
            rpc_server: duration(semconv::RPC_SERVER_CALL_DURATION, "Duration of incoming remote procedure calls."),
            rpc_client: duration(semconv::RPC_CLIENT_CALL_DURATION, "Duration of outgoing remote procedure calls."),
            operation: duration(
                semconv::MESSAGING_CLIENT_OPERATION_DURATION,
                "Duration of operations that a producer or consumer client initiates.",
            ),
            process: duration(semconv::MESSAGING_PROCESS_DURATION, "Duration of processing messages."),
            sent: messages(semconv::MESSAGING_CLIENT_SENT_MESSAGES, "Messages that a producer attempted to send."),
            consumed: messages(
                semconv::MESSAGING_CLIENT_CONSUMED_MESSAGES,
                "Messages that were delivered to the application.",
            ),
            received: Arc::default(),
            destinations: true,
        }
    }

    pub(super) fn without_destinations(&self) -> Self {
        Self {
            active: self.active.clone(),
            http_server: self.http_server.clone(),
            http_client: self.http_client.clone(),
            rpc_server: self.rpc_server.clone(),
            rpc_client: self.rpc_client.clone(),
            operation: self.operation.clone(),
            process: self.process.clone(),
            sent: self.sent.clone(),
            consumed: self.consumed.clone(),
            received: Arc::clone(&self.received),
            destinations: false,
        }
    }

    /// Counts a request to an HTTP server as active. Returns the attributes to count its end by, and `None` for other hops.
    pub(super) fn begin(&self, hop: &Noted) -> Option<Vec<KeyValue>> {
        let is_request = hop.kind == SpanKind::Server && hop.get(semconv::HTTP_REQUEST_METHOD).is_some();
        if !is_request || hop.get(semconv::RPC_SYSTEM_NAME).is_some() {
            return None;
        }
        let listed = hop.attributes.iter().filter(|known| ACTIVE.contains(&&*known.key));
        let attributes: Vec<_> = listed.map(|known| bounded(hop, known)).collect();
        self.active.add(1, &attributes);
        Some(attributes)
    }

    /// Counts the end of an active request.
    pub(super) fn end(&self, active: &[KeyValue]) {
        self.active.add(-1, active);
    }

    /// Measures a hop that ends now.
    pub(super) fn record(&self, hop: &Noted, outcome: &Outcome) {
        let seconds = hop.began.elapsed().as_secs_f64();
        // gRPC is HTTP, too: the innermost protocol counts.
        if hop.get(semconv::RPC_SYSTEM_NAME).is_some() {
            match hop.kind {
                SpanKind::Server => self.rpc_server.record(seconds, &self.attributes(RPC_SERVER, hop, outcome)),
                _ => self.rpc_client.record(seconds, &self.attributes(RPC_CLIENT, hop, outcome)),
            }
        } else if hop.get(semconv::MESSAGING_SYSTEM_NAME).is_some() {
            self.record_messaging(seconds, hop, outcome);
        } else if hop.get(semconv::HTTP_REQUEST_METHOD).is_some() {
            match hop.kind {
                SpanKind::Server => self.http_server.record(seconds, &self.attributes(HTTP_SERVER, hop, outcome)),
                _ => self.http_client.record(seconds, &self.attributes(HTTP_CLIENT, hop, outcome)),
            }
        }
    }

    /// Notes the queue of a receive hop that starts with its messages known: they may be processed before it ends, and must not be
    /// counted twice.
    pub(super) fn note_received(&self, hop: &Noted) {
        let counted = |hop: &Noted| batch_count(hop).unwrap_or(hop.links) > 0;
        if hop.kind == SpanKind::Client
            && hop.text(semconv::MESSAGING_OPERATION_TYPE) == Some("receive")
            && counted(hop)
        {
            self.received.note(hop);
        }
    }

    fn record_messaging(&self, seconds: f64, hop: &Noted, outcome: &Outcome) {
        let operation = hop.text(semconv::MESSAGING_OPERATION_TYPE);
        if operation == Some("process") {
            let attributes = self.attributes(CONSUMED, hop, outcome);
            self.process.record(seconds, &attributes);
            if !self.received.knows(hop) {
                self.consumed.add(batch_count(hop).unwrap_or(1), &attributes);
            }
            return;
        }
        self.operation.record(seconds, &self.attributes(OPERATION, hop, outcome));
        match operation {
            Some("send") => {
                self.sent.add(batch_count(hop).unwrap_or(1), &self.attributes(SENT, hop, outcome));
            }
            Some("receive") => {
                // Without a count, the span links to each received message.
                let messages = batch_count(hop).unwrap_or(hop.links);
                if messages > 0 {
                    self.received.note(hop);
                    self.consumed.add(messages, &self.attributes(CONSUMED, hop, outcome));
                }
            }
            _ => {}
        }
    }

    fn attributes(&self, table: &[&str], hop: &Noted, outcome: &Outcome) -> Vec<KeyValue> {
        let destination = [semconv::MESSAGING_DESTINATION_NAME, semconv::MESSAGING_DESTINATION_PARTITION_ID];
        let hidden = |key: &str| !self.destinations && destination.contains(&key);
        let listed = hop.attributes.iter().filter(|known| lists(table, &known.key) && !hidden(&known.key));
        let attributes = listed.map(|known| bounded(hop, known));
        // The bridges record it on spans, too.
        let error = outcome.error_type().map(|kind| KeyValue::new(semconv::ERROR_TYPE, kind));
        attributes.chain(error).collect()
    }
}

/// Converts an attribute. A value that a caller chose freely becomes `_OTHER`.
fn bounded(hop: &Noted, known: &Attribute) -> KeyValue {
    if is_made_up(hop, known) { KeyValue::new(known.key.clone(), "_OTHER") } else { attribute(known.clone()) }
}

/// Whether a caller chose a value freely: each would be a time series of its own.
fn is_made_up(hop: &Noted, known: &Attribute) -> bool {
    if hop.kind != SpanKind::Server {
        return false;
    }
    match &*known.key {
        semconv::URL_SCHEME => !matches!(hop.text(semconv::URL_SCHEME), Some("http" | "https")),
        _ => false,
    }
}

fn batch_count(hop: &Noted) -> Option<u64> {
    match hop.get(semconv::MESSAGING_BATCH_MESSAGE_COUNT)? {
        AttributeValue::Int(count) => u64::try_from(*count).ok(),
        _ => None,
    }
}

/// The sources whose messages receive spans have counted: processing must not count them again.
#[derive(Default)]
struct Received(RwLock<HashSet<MessageSource>>);

/// The maximum number of sources. Beyond it, processing counts.
const MAX_SOURCES: usize = 1024;

impl Received {
    fn note(&self, hop: &Noted) {
        if self.knows(hop) {
            return;
        }
        let mut sources = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if sources.len() < MAX_SOURCES {
            sources.insert(source(hop));
        }
    }

    fn knows(&self, hop: &Noted) -> bool {
        let sources = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !sources.is_empty() && sources.contains(&source(hop))
    }
}

/// Returns the source that the adapter has set, or else the destination: its name is that of the queue or topic.
fn source(hop: &Noted) -> MessageSource {
    let text = |key| hop.text(key).unwrap_or_default();
    hop.source.unwrap_or_else(|| {
        MessageSource::new(text(semconv::MESSAGING_SYSTEM_NAME), text(semconv::MESSAGING_DESTINATION_NAME))
    })
}
