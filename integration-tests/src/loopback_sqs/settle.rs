//! `DeleteMessage`, `ChangeMessageVisibility` and their batches.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::batch;
use super::limits::{self, MAX_VISIBILITY};
use super::queue::Handle;
use super::refusal::Refusal;
use super::state::{Shared, queue_name};

/// A message to settle: a request of its own, or an entry of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Settle {
    queue_url: Option<String>,
    id: Option<String>,
    receipt_handle: Option<String>,
    /// Only of `ChangeMessageVisibility`.
    visibility_timeout: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch {
    queue_url: Option<String>,
    entries: Option<Vec<Settle>>,
}

impl batch::Entry for Settle {
    const NAME: &'static str = "BatchRequestEntry";

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

/// `DeleteMessage`.
pub(super) fn delete(shared: &Shared, request: &Settle) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?;
    delete_one(shared, name, request).map(|()| json!({}))
}

/// `DeleteMessageBatch`.
pub(super) fn delete_batch(shared: &Shared, request: Batch) -> Result<Value, Refusal> {
    all(shared, request, delete_one)
}

/// `ChangeMessageVisibility`.
pub(super) fn hide(shared: &Shared, request: &Settle) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?;
    hide_one(shared, name, request).map(|()| json!({}))
}

/// `ChangeMessageVisibilityBatch`.
pub(super) fn hide_batch(shared: &Shared, request: Batch) -> Result<Value, Refusal> {
    all(shared, request, hide_one)
}

fn all(
    shared: &Shared,
    request: Batch,
    one: fn(&Shared, &str, &Settle) -> Result<(), Refusal>,
) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?.to_owned();
    shared.lock().queue(&name)?;
    let entries = batch::check(request.entries)?;
    Ok(batch::each(entries, |entry| one(shared, &name, &entry).map(|()| Map::new())))
}

fn delete_one(shared: &Shared, name: &str, settle: &Settle) -> Result<(), Refusal> {
    let mut state = shared.lock();
    let queue = state.queue(name)?;
    let handle = settle.handle()?;
    if !queue.owns(handle) {
        return Err(settle.unknown_handle());
    }
    queue.delete(handle);
    Ok(())
}

fn hide_one(shared: &Shared, name: &str, settle: &Settle) -> Result<(), Refusal> {
    let mut state = shared.lock();
    let queue = state.queue(name)?;
    let handle = settle.handle()?;
    let seconds = settle.visibility_timeout.ok_or_else(|| Refusal::missing("VisibilityTimeout"))?;
    let seconds = limits::in_range("VisibilityTimeout", seconds, 0, MAX_VISIBILITY)?;
    if !queue.owns(handle) {
        return Err(settle.unknown_handle());
    }
    if !queue.hide(handle, Duration::from_secs(seconds)) {
        return Err(Refusal::invalid_parameter(
            settle.receipt_handle.as_deref().unwrap_or_default(),
            "ReceiptHandle",
            "Message does not exist or is not available for visibility timeout change.",
        ));
    }
    Ok(())
}

impl Settle {
    fn handle(&self) -> Result<Handle, Refusal> {
        let text = self.receipt_handle.as_deref().ok_or_else(|| Refusal::missing("ReceiptHandle"))?;
        Handle::parse(text).ok_or_else(|| self.unknown_handle())
    }

    fn unknown_handle(&self) -> Refusal {
        Refusal::invalid_handle(self.receipt_handle.as_deref().unwrap_or_default())
    }
}
