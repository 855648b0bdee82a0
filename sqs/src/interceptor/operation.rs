//! The state of a call between its begin and end.

use std::sync::Mutex;

use aws_smithy_types::config_bag::{Storable, StoreReplace};
use propagation_core::{HopSpan, messaging::ExistingContext};

use crate::attributes::Queue;

/// The kind of an operation: whether it sends, receives or settles messages.
pub(super) enum Covered {
    With(InFlight),
    No,
}

impl Covered {
    pub(super) fn call(call: Call, hop: Option<HopSpan>) -> Self {
        Self::With(InFlight { call, hop: Mutex::new(hop), created: Mutex::default() })
    }

    /// Adds the create spans of a batch, which end with the outcomes of their messages.
    pub(super) fn with_created(self, created: Vec<(String, HopSpan)>) -> Self {
        match self {
            Self::With(in_flight) => Self::With(InFlight { created: Mutex::new(created), ..in_flight }),
            Self::No => Self::No,
        }
    }
}

/// A call in flight. Its spans end as cancelled if the call is dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) call: Call,
    pub(super) hop: Mutex<Option<HopSpan>>,
    /// The create spans of a batch by the id of the entry.
    pub(super) created: Mutex<Vec<(String, HopSpan)>>,
}

#[derive(Debug)]
pub(super) enum Call {
    Send,
    SendBatch,
    Receive(Queue),
    Settle,
}

/// The application's stored context for the messages of one call.
#[derive(Debug)]
pub(super) struct StoredForCall(pub(super) ExistingContext);

impl Storable for StoredForCall {
    type Storer = StoreReplace<Self>;
}

impl Storable for InFlight {
    type Storer = StoreReplace<Self>;
}

/// Returns `true` for operations that manage queues, topics or buses. Message moves keep the attributes of messages, and so their context.
pub(super) fn carries_no_messages(service: &str, operation: &str) -> bool {
    match service {
        "SQS" => manages_queues(operation),
        "SNS" => !operation.starts_with("Publish"),
        "EventBridge" => !operation.starts_with("Put") || !operation.ends_with("Events"),
        _ => false,
    }
}

fn manages_queues(operation: &str) -> bool {
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
