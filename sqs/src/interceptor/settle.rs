use propagation_core::{Hop, SpanKind};

use super::{
    SqsPropagation,
    operation::{Call, Covered},
};
use crate::attributes::{self, Queue};

impl SqsPropagation {
    /// Settling one message, or a batch of so many.
    pub(super) fn settle(
        &self,
        operation: &'static str,
        queue_url: Option<&str>,
        handles: &[Option<&str>],
        batch: Option<usize>,
    ) -> Covered {
        let hop = (self.options.settle_spans && self.propagator.records()).then(|| {
            let mut hop = Hop::local(SpanKind::Client, self.propagator.current());
            Queue::new(queue_url.unwrap_or_default()).describe(&mut hop, operation, "settle");
            if let Some(messages) = batch {
                attributes::count(&mut hop, messages);
            }
            for trace in handles.iter().flatten().filter_map(|handle| self.received.recall(handle)) {
                if !hop.links.contains(&trace) {
                    hop.links.push(trace);
                }
            }
            self.propagator.start(hop)
        });
        Covered::call(Call::Settle, hop)
    }
}
