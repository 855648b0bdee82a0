use propagation_core::{Direction, HopSpan, Injection, Outcome, Priority, Propagator, Reason, TraceContext, messaging};
use rdkafka::{error::KafkaError, message::OwnedHeaders};

use crate::{attributes, carrier::Before};

/// A record that carries its context, and the span of its send.
///
/// Dropped without a word on how the send went, the span ends as cancelled.
#[derive(Debug)]
#[must_use = "the span ends as cancelled unless it is told how the send went"]
#[non_exhaustive]
pub struct PreparedMessage {
    /// The send span: run the send in it.
    pub hop: HopSpan,
    /// What was written on the record.
    pub injection: Injection,
    /// The record's creation context: its own where one stayed, the send span's otherwise.
    pub creation: TraceContext,
    before: Before,
}

impl PreparedMessage {
    pub(crate) fn new(prepared: messaging::PreparedMessage, before: Before) -> Self {
        let messaging::PreparedMessage { hop, injection, creation, .. } = prepared;
        Self { hop, injection, creation, before }
    }

    /// Ends the span of a record that was delivered there.
    pub fn delivered(self, partition: i32, offset: i64) {
        if self.hop.records() {
            if partition >= 0 {
                self.hop.set_attribute("messaging.destination.partition.id", partition.to_string());
            }
            // Negative without acknowledgements (`acks=0`): then nobody knows.
            if offset >= 0 {
                self.hop.set_attribute("messaging.kafka.offset", offset);
            }
        }
        self.hop.end(&Outcome::Unset);
    }

    /// Ends the span of a record that was not delivered, and makes its headers what they were before.
    pub fn failed(self, error: &KafkaError, headers: &mut Option<OwnedHeaders>) {
        self.before.restore(headers);
        self.hop.end(&attributes::failure(error));
    }

    /// Takes what matters less than `least` off the record; everything of ours where that is `None`. Answers whether it got smaller.
    pub(super) fn shed(
        &mut self,
        headers: &mut Option<OwnedHeaders>,
        least: Option<Priority>,
        propagator: &Propagator,
    ) -> bool {
        // What is left of the injection is nobody's to see: the sends that shed keep this to themselves.
        let shed = self.before.shed(headers, least);
        for _ in &shed {
            propagator.count(Direction::Outbound, Reason::NoRoom);
        }
        !shed.is_empty()
    }
}
