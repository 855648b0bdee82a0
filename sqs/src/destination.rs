//! Topics of SNS and buses of EventBridge.

use propagation_core::{Attribute, ExternalText, Hop, Propagator, messaging::Destinations, semconv};

#[cfg(feature = "sns")]
const SNS: &str = "aws.sns";
#[cfg(feature = "eventbridge")]
const EVENTBRIDGE: &str = "aws.eventbridge";

/// A topic of SNS, given by its ARN.
#[cfg(feature = "sns")]
#[derive(Clone, Debug)]
pub(crate) struct Topic(String);

#[cfg(feature = "sns")]
impl Topic {
    pub(crate) fn new(arn: impl Into<String>) -> Self {
        Self(arn.into())
    }

    fn name(&self) -> &str {
        self.0.rsplit(':').next().unwrap_or_default()
    }

    /// Returns the name that policy rules have for the topic.
    pub(crate) fn peer(&self) -> String {
        format!("topic/{}", self.name())
    }

    /// Sets a hop's name, and the attributes of the operation and topic.
    pub(crate) fn describe(
        &self,
        known: &Destinations,
        propagator: &Propagator,
        hop: &mut Hop,
        operation: &'static str,
    ) {
        known.describe(propagator, hop, &[SNS, operation, &self.0], |hop| {
            describe(hop, SNS, operation, self.name());
            hop.attributes.push(Attribute::external("aws.sns.topic.arn", self.0.as_str()));
        });
    }
}

/// A bus of EventBridge, given by its name or ARN.
#[cfg(feature = "eventbridge")]
#[derive(Clone, Debug)]
pub(crate) struct Bus(String);

#[cfg(feature = "eventbridge")]
impl Bus {
    pub(crate) fn new(bus: impl Into<String>) -> Self {
        Self(bus.into())
    }

    fn name(&self) -> &str {
        self.0.rsplit(['/', ':']).next().unwrap_or_default()
    }

    /// Returns the name that policy rules have for the bus.
    pub(crate) fn peer(&self) -> String {
        format!("bus/{}", self.name())
    }

    /// Sets a hop's name, and the attributes of the operation and bus.
    pub(crate) fn describe(
        &self,
        known: &Destinations,
        propagator: &Propagator,
        hop: &mut Hop,
        operation: &'static str,
    ) {
        let key = [EVENTBRIDGE, operation, &self.0];
        known.describe(propagator, hop, &key, |hop| describe(hop, EVENTBRIDGE, operation, self.name()));
    }
}

/// Sets a hop's name, and the attributes of the operation and destination.
fn describe(hop: &mut Hop, system: &'static str, operation: &'static str, name: &str) {
    hop.name = if name.is_empty() { operation.into() } else { format!("{operation} {name}").into() };
    hop.attributes.extend([
        Attribute::new(semconv::MESSAGING_SYSTEM_NAME, system),
        Attribute::new(semconv::MESSAGING_OPERATION_NAME, operation),
        Attribute::new(semconv::MESSAGING_OPERATION_TYPE, operation),
        Attribute::new(semconv::MESSAGING_DESTINATION_NAME, ExternalText::from(name)),
    ]);
}
