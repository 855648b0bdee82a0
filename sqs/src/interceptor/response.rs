//! Ends spans with the outcome of the call.

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
            let sent = response.and_then(|response| response.ok()?.downcast_ref::<SendMessageBatchOutput>());
            end_created(created, sent, &outcome);
        }
        if let Some(hop) = hop {
            hop.end(&outcome);
        }
    }
}

/// Ends the create spans of a batch, each with the id or the failure that the response has for its message.
fn end_created(created: Vec<(String, HopSpan)>, sent: Option<&SendMessageBatchOutput>, outcome: &Outcome) {
    let Some(sent) = sent else {
        return created.into_iter().for_each(|(_, hop)| hop.end(outcome));
    };
    for (id, hop) in created {
        if let Some(entry) = sent.successful().iter().find(|entry| entry.id() == id) {
            record_ids(&hop, Some(entry.message_id()), None);
            hop.end(&Outcome::Unset);
        } else {
            let failed = sent.failed().iter().find(|entry| entry.id() == id);
            hop.end(&Outcome::error(failed.map_or_else(|| "_OTHER".to_owned(), |failed| failed.code().to_owned())));
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
            Outcome::Unset
        }
        Call::SendBatch => match output.downcast_ref::<SendMessageBatchOutput>() {
            Some(sent) => {
                record_ids(hop, None, sent.request_id());
                partial(sent.failed())
            }
            None => Outcome::Unset,
        },
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
    None
}
