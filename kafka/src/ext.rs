//! Extension traits to extract and inject without spans.

use std::time::Duration;

use propagation_core::{Admission, InjectionReport, Peer, PropagationContext, Propagator, messaging};
use rdkafka::{Message, message::OwnedHeaders};

use crate::{HeadersCarrier, HeadersCarrierMut, NativeHeaders, RawHeader, RawHeaders, raw, record::sealed::Sealed};

/// Reads the context of a received message.
pub trait MessageExt: Message<Headers: NativeHeaders> {
    /// Extracts the context of the message and applies the policy for its topic. Makes no span.
    fn extract(&self, propagator: &Propagator) -> Admission;

    /// Returns the time since the message was created, or appended to the log if the topic is configured so.
    ///
    /// `None` if the message has no timestamp. Zero for a timestamp in the future, because clocks differ.
    fn age(&self) -> Option<Duration>;
}

impl<M: Message<Headers: NativeHeaders>> MessageExt for M {
    fn extract(&self, propagator: &Propagator) -> Admission {
        propagator.extract(&Peer::kafka(self.topic()), &HeadersCarrier::of_message(self))
    }

    fn age(&self) -> Option<Duration> {
        let created = u64::try_from(self.timestamp().to_millis()?).ok()?;
        messaging::age(Duration::from_millis(created))
    }
}

/// Reads the context and all headers.
pub trait HeadersExt: NativeHeaders {
    /// Extracts the context of the headers and applies the policy for a topic. Makes no span.
    fn extract(&self, propagator: &Propagator, topic: &str) -> Admission;

    /// Returns all headers, also those whose name or value is not UTF-8.
    ///
    /// rdkafka's own [`Headers::iter`](rdkafka::message::Headers::iter) panics on a name that is not UTF-8, which any producer can write.
    fn raw_iter(&self) -> RawHeaders<'_>;
}

impl<H: NativeHeaders> HeadersExt for H {
    fn extract(&self, propagator: &Propagator, topic: &str) -> Admission {
        propagator.extract(&Peer::kafka(topic), &HeadersCarrier::new(self))
    }

    fn raw_iter(&self) -> RawHeaders<'_> {
        RawHeaders::of(self.as_native())
    }
}

/// Writes a context to headers.
pub trait OwnedHeadersExt: Sealed {
    /// Writes the part of a context that the policy releases to a topic, and replaces existing fields. Makes no span.
    fn inject(&mut self, propagator: &Propagator, topic: &str, context: &PropagationContext) -> InjectionReport;

    /// Appends a header with any name, to forward headers from [`HeadersExt::raw_iter`].
    ///
    /// Returns `false` if librdkafka rejects the header.
    fn raw_append(&mut self, header: RawHeader<'_>) -> bool;
}

impl Sealed for OwnedHeaders {}
impl Sealed for Option<OwnedHeaders> {}

impl OwnedHeadersExt for OwnedHeaders {
    fn inject(&mut self, propagator: &Propagator, topic: &str, context: &PropagationContext) -> InjectionReport {
        let mut headers = Some(std::mem::take(self));
        let injection = headers.inject(propagator, topic, context);
        *self = headers.unwrap_or_default();
        injection
    }

    fn raw_append(&mut self, header: RawHeader<'_>) -> bool {
        raw::append(self, header)
    }
}

impl OwnedHeadersExt for Option<OwnedHeaders> {
    fn inject(&mut self, propagator: &Propagator, topic: &str, context: &PropagationContext) -> InjectionReport {
        propagator.inject(&Peer::kafka(topic), context, &mut HeadersCarrierMut::new(self))
    }

    fn raw_append(&mut self, header: RawHeader<'_>) -> bool {
        raw::append(self.get_or_insert_default(), header)
    }
}
