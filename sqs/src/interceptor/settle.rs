//! Settle spans: deletion and change of visibility.

use propagation_core::{
    SpanKind,
    messaging::{self, CreationContext},
};

use super::{
    SqsInterceptor,
    operation::{Call, Covered},
};
use crate::attributes::{self, Queue};

impl SqsInterceptor {
    /// Starts the settle span of one message, as a child of its process span.
    pub(super) fn settle(&self, operation: &'static str, queue_url: Option<&str>, handle: Option<&str>) -> Covered {
        let hop = (self.options.settle_spans && self.propagator.is_recording()).then(|| {
            let delivery = attributes::delivery(handle.unwrap_or_default());
            messaging::settle(&self.propagator, delivery, CreationContext::default, |hop| {
                let queue = Queue::new(queue_url.unwrap_or_default());
                queue.describe(&self.known, &self.propagator, hop, (operation, "settle"));
            })
        });
        Covered::call(Call::Settle, hop)
    }

    /// Starts the settle span of a batch, linked to every message.
    pub(super) fn settle_batch(&self, operation: &'static str, queue_url: Option<&str>, handles: &[&str]) -> Covered {
        let hop = (self.options.settle_spans && self.propagator.is_recording()).then(|| {
            let recall = |handle: &&str| messaging::recall(&self.propagator, attributes::delivery(handle));
            let creations: Vec<_> = handles.iter().map(|handle| recall(handle).unwrap_or_default()).collect();
            messaging::batch(&self.propagator, SpanKind::Client, &creations, |hop, _| {
                let queue = Queue::new(queue_url.unwrap_or_default());
                queue.describe(&self.known, &self.propagator, hop, (operation, "settle"));
                attributes::count(hop, handles.len());
            })
        });
        Covered::call(Call::Settle, hop)
    }
}
