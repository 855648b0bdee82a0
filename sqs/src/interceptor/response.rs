//! Ends spans with the outcome of the call.

use std::collections::HashMap;

use aws_sdk_sqs::{
    error::{ConnectorError, ProvideErrorMetadata},
    operation::{
        RequestId,
        change_message_visibility::{ChangeMessageVisibilityError, ChangeMessageVisibilityOutput},
        change_message_visibility_batch::{ChangeMessageVisibilityBatchError, ChangeMessageVisibilityBatchOutput},
        delete_message::{DeleteMessageError, DeleteMessageOutput},
        delete_message_batch::{DeleteMessageBatchError, DeleteMessageBatchOutput},
        receive_message::{ReceiveMessageError, ReceiveMessageOutput},
        send_message::{SendMessageError, SendMessageOutput},
        send_message_batch::{SendMessageBatchError, SendMessageBatchOutput},
    },
    types::BatchResultErrorEntry,
};
use aws_smithy_runtime_api::client::{
    interceptors::context::{Error, Output},
    orchestrator::OrchestratorError,
};
use propagation_core::{HopSpan, Outcome};

use super::{
    SqsInterceptor,
    operation::{Call, InFlight},
};
use crate::attributes::record_ids;

type Response<'a> = Option<Result<&'a Output, &'a OrchestratorError<Error>>>;

impl SqsInterceptor {
    /// Ends the span of a call, after its last attempt.
    pub(super) fn after(&self, in_flight: &InFlight, response: Response<'_>) {
        let hop = in_flight.hop.lock().ok().and_then(|mut hop| hop.take());
        let outcome = match response {
            Some(Ok(output)) => {
                if let (Call::Receive(queue), Some(received)) =
                    (&in_flight.call, output.downcast_ref::<ReceiveMessageOutput>())
                {
                    self.received(queue, hop.as_ref(), received.messages());
                }
                hop.as_ref().map_or(Outcome::Unset, |hop| describe(hop, &in_flight.call, output))
            }
            Some(Err(error)) => Outcome::error(error_type(error)),
            None => Outcome::error("_OTHER"),
        };
        let created = in_flight.created.lock().map(|mut created| std::mem::take(&mut *created)).unwrap_or_default();
        if !created.is_empty() {
            let results = response.and_then(|response| results(response.ok()?));
            end_created(created, results, &outcome);
        }
        if let Some(hop) = hop {
            hop.end(&outcome);
        }
    }
}

/// The result of one message of a batch: its id, or the code of its failure.
type MessageResult = Result<String, String>;

/// Returns the results of the messages of a batch, by the id of the entry. `None` if it is no response to a batch that was sent.
fn results(output: &Output) -> Option<HashMap<String, MessageResult>> {
    if let Some(sent) = output.downcast_ref::<SendMessageBatchOutput>() {
        let accepted = sent.successful().iter().map(|entry| (entry.id().to_owned(), Ok(entry.message_id().to_owned())));
        let failed = sent.failed().iter().map(|entry| (entry.id().to_owned(), Err(entry.code().to_owned())));
        return Some(accepted.chain(failed).collect());
    }
    #[cfg(feature = "sns")]
    if let Some(sent) = output.downcast_ref::<aws_sdk_sns::operation::publish_batch::PublishBatchOutput>() {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let accepted = sent.successful().iter().map(|entry| (text(entry.id()), Ok(text(entry.message_id()))));
        let failed = sent.failed().iter().map(|entry| (entry.id().to_owned(), Err(entry.code().to_owned())));
        return Some(accepted.chain(failed).collect());
    }
    #[cfg(feature = "eventbridge")]
    if let Some(sent) = output.downcast_ref::<aws_sdk_eventbridge::operation::put_events::PutEventsOutput>() {
        let results = sent.entries().iter().map(|entry| match (entry.event_id(), entry.error_code()) {
            (Some(id), None) => Ok(id.to_owned()),
            (_, code) => Err(code.unwrap_or("_OTHER").to_owned()),
        });
        return Some(results.enumerate().map(|(at, result)| (at.to_string(), result)).collect());
    }
    None
}

/// Ends the create spans of a batch, each with the id or the failure that the response has for its message.
fn end_created(created: Vec<(String, HopSpan)>, results: Option<HashMap<String, MessageResult>>, outcome: &Outcome) {
    let Some(results) = results else {
        return created.into_iter().for_each(|(_, hop)| hop.end(outcome));
    };
    for (id, hop) in created {
        match results.get(&id) {
            Some(Ok(message_id)) => {
                record_ids(&hop, Some(message_id), None);
                hop.end(&Outcome::Unset);
            }
            Some(Err(code)) => hop.end(&Outcome::error(code.clone())),
            None => hop.end(&Outcome::error("_OTHER")),
        }
    }
}

/// Records the ids of the response, and returns the outcome. A batch fails if one of its messages fails.
fn describe(hop: &HopSpan, call: &Call, output: &Output) -> Outcome {
    if !hop.is_recording() {
        return Outcome::Unset;
    }
    match call {
        Call::Send => {
            if let Some(sent) = output.downcast_ref::<SendMessageOutput>() {
                record_ids(hop, sent.message_id(), sent.request_id());
            }
            #[cfg(feature = "sns")]
            if let Some(sent) = output.downcast_ref::<aws_sdk_sns::operation::publish::PublishOutput>() {
                record_ids(hop, sent.message_id(), sent.request_id());
            }
            Outcome::Unset
        }
        Call::SendBatch => {
            if let Some(sent) = output.downcast_ref::<SendMessageBatchOutput>() {
                record_ids(hop, None, sent.request_id());
                return partial(sent.failed());
            }
            #[cfg(feature = "sns")]
            if let Some(sent) = output.downcast_ref::<aws_sdk_sns::operation::publish_batch::PublishBatchOutput>() {
                record_ids(hop, None, sent.request_id());
            }
            #[cfg(feature = "eventbridge")]
            if let Some(sent) = output.downcast_ref::<aws_sdk_eventbridge::operation::put_events::PutEventsOutput>() {
                record_ids(hop, None, sent.request_id());
            }
            let failed = results(output).into_iter().flatten().find_map(|(_, result)| result.err());
            failed.map_or(Outcome::Unset, Outcome::error)
        }
        Call::Receive(_) => {
            if let Some(received) = output.downcast_ref::<ReceiveMessageOutput>() {
                record_ids(hop, None, received.request_id());
            }
            Outcome::Unset
        }
        Call::Settle => {
            if let Some(deleted) = output.downcast_ref::<DeleteMessageBatchOutput>() {
                record_ids(hop, None, deleted.request_id());
                return partial(deleted.failed());
            }
            if let Some(changed) = output.downcast_ref::<ChangeMessageVisibilityBatchOutput>() {
                record_ids(hop, None, changed.request_id());
                return partial(changed.failed());
            }
            let deleted = output.downcast_ref::<DeleteMessageOutput>().and_then(RequestId::request_id);
            let changed = || output.downcast_ref::<ChangeMessageVisibilityOutput>().and_then(RequestId::request_id);
            record_ids(hop, None, deleted.or_else(changed));
            Outcome::Unset
        }
    }
}

fn partial(failed: &[BatchResultErrorEntry]) -> Outcome {
    failed.first().map_or(Outcome::Unset, |first| Outcome::error(first.code().to_owned()))
}

/// Returns `error.type`: the service's code, or the reason why there is no response.
fn error_type(error: &OrchestratorError<Error>) -> String {
    if let Some(error) = error.as_operation_error() {
        return code(error).unwrap_or("_OTHER").to_owned();
    }
    let connector = error.as_connector_error();
    let name = if error.is_timeout_error() || connector.is_some_and(ConnectorError::is_timeout) {
        "timeout"
    } else if connector.is_some() {
        "connection"
    } else if error.is_response_error() {
        "response"
    } else {
        "_OTHER"
    };
    name.to_owned()
}

fn code(error: &Error) -> Option<&str> {
    macro_rules! first {
        ($($error:ty),*) => {
            $(if let Some(error) = error.downcast_ref::<$error>() { return error.code(); })*
        };
    }
    first!(
        SendMessageError,
        SendMessageBatchError,
        ReceiveMessageError,
        DeleteMessageError,
        DeleteMessageBatchError,
        ChangeMessageVisibilityError,
        ChangeMessageVisibilityBatchError
    );
    #[cfg(feature = "sns")]
    first!(aws_sdk_sns::operation::publish::PublishError, aws_sdk_sns::operation::publish_batch::PublishBatchError);
    #[cfg(feature = "eventbridge")]
    first!(aws_sdk_eventbridge::operation::put_events::PutEventsError);
    None
}
