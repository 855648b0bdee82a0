//! One trait for rdkafka's two types of record.

use rdkafka::{
    message::{OwnedHeaders, ToBytes},
    producer::{BaseRecord, FutureRecord},
    util::IntoOpaque,
};

/// A record that is about to be sent: [`FutureRecord`] or [`BaseRecord`]. Sealed.
pub trait Record: sealed::Sealed {
    /// Returns the topic.
    fn topic(&self) -> &str;

    /// Returns the headers.
    fn headers_mut(&mut self) -> &mut Option<OwnedHeaders>;

    #[doc(hidden)]
    fn split(&mut self) -> (sealed::Details<'_>, &mut Option<OwnedHeaders>);
}

pub(crate) mod sealed {
    pub trait Sealed {}

    /// The properties of a record that become span attributes.
    #[derive(Clone, Copy, Debug)]
    pub struct Details<'a> {
        pub(crate) topic: &'a str,
        pub(crate) partition: Option<i32>,
        pub(crate) key: Option<&'a [u8]>,
        pub(crate) tombstone: bool,
    }
}

pub(crate) use sealed::Details;

macro_rules! record {
    ($record:ident [$($more:ident: $bound:path)?]) => {
        impl<K: ToBytes + ?Sized, P: ToBytes + ?Sized $(, $more: $bound)?> sealed::Sealed for $record<'_, K, P $(, $more)?> {}

        impl<K: ToBytes + ?Sized, P: ToBytes + ?Sized $(, $more: $bound)?> Record for $record<'_, K, P $(, $more)?> {
            fn topic(&self) -> &str {
                self.topic
            }

            fn headers_mut(&mut self) -> &mut Option<OwnedHeaders> {
                &mut self.headers
            }

            fn split(&mut self) -> (Details<'_>, &mut Option<OwnedHeaders>) {
                let details = Details {
                    topic: self.topic,
                    partition: self.partition,
                    key: self.key.map(ToBytes::to_bytes),
                    tombstone: self.payload.is_none(),
                };
                (details, &mut self.headers)
            }
        }
    };
}

record!(FutureRecord []);
record!(BaseRecord [D: IntoOpaque]);
