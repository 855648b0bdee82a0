//! Topics of SNS and buses of EventBridge.

use propagation_core::{Attribute, ExternalText, Hop, Propagator, messaging::Destinations, semconv};

/// A topic of SNS or a bus of EventBridge.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    kind: Kind,
    /// The ARN; of a bus, also its name alone.
    id: String,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    #[cfg(feature = "sns")]
    Topic,
    #[cfg(feature = "eventbridge")]
    Bus,
}

impl Destination {
    /// Returns the topic of an ARN.
    #[cfg(feature = "sns")]
    pub(crate) fn topic(arn: impl Into<String>) -> Self {
        Self { kind: Kind::Topic, id: arn.into() }
    }

    /// Returns the bus of a name or ARN.
    #[cfg(feature = "eventbridge")]
    pub(crate) fn bus(bus: impl Into<String>) -> Self {
        Self { kind: Kind::Bus, id: bus.into() }
    }

    fn name(&self) -> &str {
        let name = match self.kind {
            #[cfg(feature = "sns")]
            Kind::Topic => self.id.rsplit(':').next(),
            #[cfg(feature = "eventbridge")]
            Kind::Bus => self.id.rsplit(['/', ':']).next(),
        };
        name.unwrap_or_default()
    }

    /// Returns the name that policy rules have for the destination.
    pub(crate) fn peer(&self) -> String {
        let kind = match self.kind {
            #[cfg(feature = "sns")]
            Kind::Topic => "topic",
            #[cfg(feature = "eventbridge")]
            Kind::Bus => "bus",
        };
        format!("{kind}/{}", self.name())
    }

    /// Sets a hop's name, and the attributes of the operation and destination.
    pub(crate) fn describe(
        &self,
        known: &Destinations,
        propagator: &Propagator,
        hop: &mut Hop,
        operation: &'static str,
    ) {
        let system = match self.kind {
            #[cfg(feature = "sns")]
            Kind::Topic => "aws.sns",
            #[cfg(feature = "eventbridge")]
            Kind::Bus => "aws.eventbridge",
        };
        known.describe(propagator, hop, &[system, operation, &self.id], |hop| {
            self.describe_new(hop, system, operation);
        });
    }

    fn describe_new(&self, hop: &mut Hop, system: &'static str, operation: &'static str) {
        let name = self.name();
        hop.name = if name.is_empty() { operation.into() } else { format!("{operation} {name}").into() };
        hop.attributes.extend([
            Attribute::new(semconv::MESSAGING_SYSTEM_NAME, system),
            Attribute::new(semconv::MESSAGING_OPERATION_NAME, operation),
            Attribute::new(semconv::MESSAGING_OPERATION_TYPE, operation),
            Attribute::new(semconv::MESSAGING_DESTINATION_NAME, ExternalText::from(name)),
        ]);
        #[cfg(feature = "sns")]
        if matches!(self.kind, Kind::Topic) {
            hop.attributes.push(Attribute::external("aws.sns.topic.arn", self.id.as_str()));
        }
    }
}
