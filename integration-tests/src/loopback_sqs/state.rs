//! The state shared by all requests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::queue::{Queue, Taken};
use super::refusal::Refusal;
use super::{ACCOUNT, InTransit, Tap, digest};

/// The endpoint, as its requests see it.
pub(super) struct Shared {
    state: Mutex<State>,
    endpoint: String,
    tap: Option<Arc<Tap>>,
    closing: watch::Receiver<bool>,
    ids: AtomicU64,
}

/// All queues by name.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) created: u64,
}

impl Shared {
    pub(super) fn new(endpoint: String, tap: Option<Arc<Tap>>, closing: watch::Receiver<bool>) -> Self {
        Self { state: Mutex::default(), endpoint, tap, closing, ids: AtomicU64::new(0) }
    }

    /// Never held over an await, nor while the tap runs.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics in the middle of a change; after a panic elsewhere the state is as good as before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn endpoint_url(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn queue_url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.endpoint)
    }

    pub(super) fn tap(&self, message: &mut InTransit<'_>) {
        if let Some(tap) = &self.tap {
            tap(message);
        }
    }

    /// A new id, for a message or a request.
    pub(super) fn id(&self) -> String {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        // The port and the clock distinguish endpoints, the number distinguishes ids of one.
        digest::uuid(&format!("{} {} {number}", self.endpoint, now_ms()))
    }

    /// Completes when the endpoint stops.
    pub(super) async fn closed(&self) {
        // An error is a sender that was dropped without a word: closed as well.
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).field("tap", &self.tap.is_some()).finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn queue(&mut self, name: &str) -> Result<&mut Queue, Refusal> {
        self.queues.get_mut(name).ok_or_else(Refusal::no_such_queue)
    }

    /// Receives from a queue and moves messages beyond their receive limit to its dead-letter queue.
    pub(super) fn take(&mut self, name: &str, most: usize, visibility: Option<Duration>) -> Result<Taken, Refusal> {
        let settings = &self.queue(name)?.settings;
        let visibility = visibility.unwrap_or(settings.visibility);
        // Without its dead-letter queue, a message stays where it is.
        let redrive = settings.redrive.clone().filter(|redrive| self.queues.contains_key(&redrive.target));
        let max_receives = redrive.as_ref().map(|redrive| redrive.max_receives);
        let mut taken = self.queue(name)?.take(most, visibility, max_receives, now_ms());
        if let Some(redrive) = redrive
            && let Some(target) = self.queues.get_mut(&redrive.target)
        {
            // As on the service: id, attributes, time of sending and count of receives stay.
            for mut message in taken.dead.drain(..) {
                message.dead_letter_source = Some(arn(name));
                target.push(message);
            }
        }
        Ok(taken)
    }
}

/// The name of a queue from its URL; the host may be any, for clients that reach this endpoint by another name.
pub(super) fn queue_name(url: Option<&str>) -> Result<&str, Refusal> {
    let url = url.filter(|url| !url.is_empty()).ok_or_else(|| Refusal::missing("QueueUrl"))?;
    match url.trim_end_matches('/').rsplit_once('/') {
        Some((_, name)) if !name.is_empty() => Ok(name),
        _ => Err(Refusal::invalid_address(url)),
    }
}

/// The ARN of a queue.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}")
}

/// Milliseconds since the epoch.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
