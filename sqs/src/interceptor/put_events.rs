//! Putting events on buses of EventBridge.

use aws_sdk_eventbridge::{operation::put_events::PutEventsInput, types::PutEventsRequestEntry};
use propagation_core::{FieldNames, Hop, Peer, messaging::ExistingContext};

use super::{SqsInterceptor, batch::Entry, operation::Covered};
use crate::{AttributeMode, EventCarrierMut, SizeLimit, carrier::event, destination::Destination};

impl SqsInterceptor {
    /// A request has one span, named after the bus of its first event.
    pub(super) fn put_events(&self, input: &mut PutEventsInput, existing: &ExistingContext) -> Covered {
        let entries = input.entries.as_deref_mut().unwrap_or_default();
        let bus =
            Destination::bus(entries.first().and_then(PutEventsRequestEntry::event_bus_name).unwrap_or("default"));
        let describe = |hop: &mut Hop, operation| bus.describe(&self.known, &self.propagator, hop, operation);
        self.batch(&Peer::sqs(&bus.peer()), entries, existing, describe)
    }
}

impl Entry for PutEventsRequestEntry {
    type Carrier<'a> = EventCarrierMut<'a>;

    fn own_size(&self, names: &FieldNames) -> usize {
        event::kept_size(self, |name| names.contains(name))
    }

    fn size(&self) -> usize {
        event::size(self)
    }

    /// The response has a result for each event, in order.
    fn id(&self) -> Option<&str> {
        None
    }

    fn peer(&self) -> Option<String> {
        self.event_bus_name().map(|bus| Destination::bus(bus).peer())
    }

    fn carrier(&mut self, _: AttributeMode, limit: SizeLimit) -> EventCarrierMut<'_> {
        EventCarrierMut::new(self, limit)
    }
}
