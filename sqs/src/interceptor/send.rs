use aws_sdk_sqs::operation::{send_message::SendMessageInput, send_message_batch::SendMessageBatchInput};
use propagation_core::{
    Peer,
    messaging::{self, ExistingContext, PreparedMessage},
};

use super::{
    SqsInterceptor,
    operation::{Call, Covered},
};
use crate::{MessageCarrierMut, attributes::Queue};

impl SqsInterceptor {
    pub(super) fn send(&self, input: &mut SendMessageInput, existing: &ExistingContext) -> Covered {
        let queue = Queue::new(input.queue_url().unwrap_or_default());
        let mut message = MessageCarrierMut::new(input, self.options.mode, self.options.limit);
        let peer = Peer::sqs(queue.name());
        let PreparedMessage { hop, .. } = messaging::send(&self.propagator, &peer, existing, &mut message, |hop| {
            queue.describe(&self.known, &self.propagator, hop, ("send", "send"));
        });
        Covered::call(Call::Send, Some(hop))
    }

    pub(super) fn send_batch(&self, input: &mut SendMessageBatchInput, existing: &ExistingContext) -> Covered {
        let queue = Queue::new(input.queue_url().unwrap_or_default());
        let entries = input.entries.as_deref_mut().unwrap_or_default();
        self.batch(&Peer::sqs(queue.name()), entries, existing, |hop, operation| {
            queue.describe(&self.known, &self.propagator, hop, (operation, operation));
        })
    }
}
