//! For those who send and receive in their own way: what a message brings, and what goes onto one.

use std::time::Duration;

use propagation_core::{Admission, Injection, Peer, PropagationContext, Propagator, messaging};
use rdkafka::{Message, message::OwnedHeaders};

use crate::{HeadersCarrier, HeadersCarrierMut, NativeHeaders, RawHeader, RawHeaders, raw, record::sealed::Sealed};

/// Reads the context of a received message.
pub trait MessageExt: Message<Headers: NativeHeaders> {
    /// What the message brings from its topic, judged by the policy. Makes no span.
    fn extract(&self, propagator: &Propagator) -> Admission;

    /// How long ago the message was made, or appended to the log, as the topic is set up; `None` if it does not say.
    /// Zero for one from the future: clocks differ.
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

/// Reads headers.
pub trait HeadersExt: NativeHeaders {
    /// What the headers bring from a topic, judged by the policy. Makes no span.
    fn extract(&self, propagator: &Propagator, topic: &str) -> Admission;

    /// All headers, whatever their names and values are.
    ///
    /// rdkafka's own [`Headers::iter`](rdkafka::message::Headers::iter) panics on a name that is not UTF-8, which anybody can write.
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

/// Writes a context onto headers.
pub trait OwnedHeadersExt: Sealed {
    /// Writes what a topic may learn of a context, in place of what stands there. Makes no span.
    fn inject(&mut self, propagator: &Propagator, topic: &str, context: &PropagationContext) -> Injection;

    /// Adds a header at the end under any name, UTF-8 or not, to forward what [`HeadersExt::raw_iter`] has shown. Answers whether
    /// librdkafka took it, as it does.
    fn raw_append(&mut self, header: RawHeader<'_>) -> bool;
}

impl Sealed for OwnedHeaders {}
impl Sealed for Option<OwnedHeaders> {}

impl OwnedHeadersExt for OwnedHeaders {
    fn inject(&mut self, propagator: &Propagator, topic: &str, context: &PropagationContext) -> Injection {
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
    fn inject(&mut self, propagator: &Propagator, topic: &str, context: &PropagationContext) -> Injection {
        propagator.inject(&Peer::kafka(topic), context, &mut HeadersCarrierMut::new(self))
    }

    fn raw_append(&mut self, header: RawHeader<'_>) -> bool {
        raw::append(self.get_or_insert_default(), header)
    }
}
