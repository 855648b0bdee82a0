//! What is known of a call between its begin and its end.

use std::sync::Mutex;

use aws_smithy_types::config_bag::{Storable, StoreReplace};
use propagation_core::{HopSpan, messaging::ExistingContext};

use crate::attributes::Queue;

/// Whether an operation is one that carries, brings or settles messages.
pub(super) enum Covered {
    With(InFlight),
    No,
}

impl Covered {
    pub(super) fn call(call: Call, hop: Option<HopSpan>) -> Self {
        Self::With(InFlight { call, hop: Mutex::new(hop) })
    }
}

/// A call under way. Dropped with the call, its span ends as cancelled.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) call: Call,
    pub(super) hop: Mutex<Option<HopSpan>>,
}

#[derive(Debug)]
pub(super) enum Call {
    Send,
    SendBatch,
    Receive(Queue),
    Settle,
}

/// The context that the application has stored for the messages of one call.
#[derive(Debug)]
pub(super) struct StoredForCall(pub(super) ExistingContext);

impl Storable for StoredForCall {
    type Storer = StoreReplace<Self>;
}

impl Storable for InFlight {
    type Storer = StoreReplace<Self>;
}

/// Whether an operation of SQS is about queues, not messages. Moving messages to another queue leaves them what they carry.
pub(super) fn carries_no_messages(operation: &str) -> bool {
    matches!(
        operation,
        "AddPermission"
            | "CancelMessageMoveTask"
            | "CreateQueue"
            | "DeleteQueue"
            | "GetQueueAttributes"
            | "GetQueueUrl"
            | "ListDeadLetterSourceQueues"
            | "ListMessageMoveTasks"
            | "ListQueueTags"
            | "ListQueues"
            | "PurgeQueue"
            | "RemovePermission"
            | "SetQueueAttributes"
            | "StartMessageMoveTask"
            | "TagQueue"
            | "UntagQueue"
    )
}
