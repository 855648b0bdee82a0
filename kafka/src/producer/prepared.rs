use propagation_core::{
    Direction, HopSpan, InjectionReport, Outcome, Peer, Propagator, RejectReason, TraceContext, carrier::FieldPriority,
    messaging, semconv,
};
use rdkafka::{error::KafkaError, message::OwnedHeaders};

use crate::{attributes, carrier::Before};

/// A record that carries its context, and the span of its send.
///
/// If it is dropped before [`delivered`](Self::delivered) or [`failed`](Self::failed), the span ends as cancelled.
#[derive(Debug)]
#[must_use = "the send span ends as cancelled when this is dropped"]
#[non_exhaustive]
pub struct PreparedMessage {
    /// The send span: run the send in it.
    pub hop: HopSpan,
    /// The fields that were written to the record.
    pub injection: InjectionReport,
    /// The record's creation context: its existing one if that was kept, otherwise the send span's.
    pub creation: TraceContext,
    before: Before,
}

impl PreparedMessage {
    pub(crate) fn new(prepared: messaging::PreparedMessage, before: Before) -> Self {
        let messaging::PreparedMessage { hop, injection, creation, .. } = prepared;
        Self { hop, injection, creation, before }
    }

    /// Ends the span of a record that was delivered to this partition and offset.
    pub fn delivered(self, partition: i32, offset: i64) {
        if self.hop.is_recording() {
            if partition >= 0 {
                let id = attributes::partition_id(partition);
                self.hop.set_attribute(id.key, id.value);
            }
            // Negative if it is unknown: without acknowledgements (`acks=0`).
            if offset >= 0 {
                self.hop.set_attribute(semconv::KAFKA_OFFSET, offset);
            }
        }
        self.hop.end(&Outcome::Unset);
    }

    /// Ends the span of a record that was not delivered, and restores its headers.
    pub fn failed(self, error: &KafkaError, headers: &mut Option<OwnedHeaders>) {
        self.before.restore(headers);
        self.hop.end(&attributes::failure(error));
    }

    /// Removes and counts the written fields with a priority below `least`, or all if that is `None`.
    ///
    /// Returns `true` if the record got smaller.
    pub(super) fn shed(
        &mut self,
        headers: &mut Option<OwnedHeaders>,
        least: Option<FieldPriority>,
        propagator: &Propagator,
        topic: &str,
    ) -> bool {
        let mut shed = InjectionReport::new();
        for name in self.before.shed(headers, least) {
            shed.record_rejected(&name, RejectReason::TooLarge);
        }
        // `injection` is not updated: the sends that call this never return it.
        for rejection in shed.rejected() {
            propagator.record_rejection(Direction::Outbound, &Peer::kafka(topic), rejection);
        }
        !shed.rejected().is_empty()
    }
}
