//! Error responses of the service.

use std::fmt;

use serde_json::{Value, json};

/// An error response, which SDKs map to their error types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The shape in the JSON protocol (`__type`).
    pub(super) shape: &'static str,
    /// The code of the older query protocol, which SDKs prefer when the header `x-amzn-query-error` has it, and which
    /// failed batch entries carry.
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    fn new(status: u16, shape: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, shape, code, message: message.into() }
    }

    pub(super) fn invalid_value(message: impl Into<String>) -> Self {
        Self::new(400, "com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue", message)
    }

    pub(super) fn invalid_parameter(value: impl fmt::Display, name: &str, reason: &str) -> Self {
        Self::invalid_value(format!("Value {value} for parameter {name} is invalid. Reason: {reason}"))
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(
            400,
            "com.amazon.coral.service#MissingRequiredParameterException",
            "MissingParameter",
            format!("The request must contain the parameter {parameter}."),
        )
    }

    pub(super) fn malformed(detail: &str) -> Self {
        Self::new(
            400,
            "com.amazon.coral.service#SerializationException",
            "MalformedInput",
            format!("The request is not valid for this operation: {detail}."),
        )
    }

    pub(super) fn unknown_operation(detail: &str) -> Self {
        Self::new(400, "com.amazon.coral.service#UnknownOperationException", "InvalidAction", detail)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(400, "com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", message)
    }

    pub(super) fn no_such_queue() -> Self {
        Self::new(
            400,
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    }

    pub(super) fn invalid_address(url: &str) -> Self {
        Self::new(
            404,
            "com.amazonaws.sqs#InvalidAddress",
            "InvalidAddress",
            format!("The address {url} is not valid for this endpoint."),
        )
    }

    pub(super) fn queue_exists(attribute: &str) -> Self {
        Self::new(
            400,
            "com.amazonaws.sqs#QueueNameExists",
            "QueueAlreadyExists",
            format!("A queue already exists with the same name and a different value for attribute {attribute}"),
        )
    }

    pub(super) fn unknown_attribute(name: &str) -> Self {
        Self::new(
            400,
            "com.amazonaws.sqs#InvalidAttributeName",
            "InvalidAttributeName",
            format!("Unknown Attribute {name}."),
        )
    }

    pub(super) fn invalid_attribute(name: &str) -> Self {
        Self::new(
            400,
            "com.amazonaws.sqs#InvalidAttributeValue",
            "InvalidAttributeValue",
            format!("Invalid value for the parameter {name}."),
        )
    }

    pub(super) fn invalid_contents(message: impl Into<String>) -> Self {
        Self::new(400, "com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents", message)
    }

    pub(super) fn invalid_handle(handle: &str) -> Self {
        Self::new(
            404,
            "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
        )
    }

    pub(super) fn empty_batch(entry: &str) -> Self {
        Self::new(
            400,
            "com.amazonaws.sqs#EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            format!("There should be at least one {entry} in the request."),
        )
    }

    pub(super) fn too_many_entries(entries: usize) -> Self {
        Self::new(
            400,
            "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are 10. You have sent {entries}."),
        )
    }

    pub(super) fn invalid_entry_id() -> Self {
        Self::new(
            400,
            "com.amazonaws.sqs#InvalidBatchEntryId",
            "AWS.SimpleQueueService.InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
             It can be at most 80 letters long.",
        )
    }

    pub(super) fn repeated_entry_id(id: &str) -> Self {
        Self::new(
            400,
            "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            format!("Id {id} repeated."),
        )
    }

    pub(super) fn batch_too_long(limit: usize, sent: usize) -> Self {
        Self::new(
            400,
            "com.amazonaws.sqs#BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!("Batch requests cannot be longer than {limit} bytes. You have sent {sent} bytes."),
        )
    }

    pub(super) fn body(&self) -> Value {
        json!({"__type": self.shape, "message": self.message})
    }

    /// Converts the error to one entry of a batch's `Failed`.
    pub(super) fn entry(&self, id: &str) -> Value {
        json!({"Id": id, "SenderFault": true, "Code": self.code, "Message": self.message})
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
