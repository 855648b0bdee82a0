//! One queue and its messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::attribute::Attributes;
use super::settings::Settings;

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// Differs for each queue ever created, so that a handle of a deleted queue is invalid in its successor.
    identity: u64,
    pub(super) settings: Settings,
    /// Seconds since the epoch.
    pub(super) created: u64,
    /// Seconds since the epoch.
    pub(super) modified: u64,
    /// In the order of arrival.
    messages: BTreeMap<u64, Message>,
    next: u64,
    /// Wakes waiting receives.
    pub(super) changed: Arc<Notify>,
}

/// A stored message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: String,
    pub(super) attributes: Attributes,
    /// Set by the sender: `AWSTraceHeader`.
    pub(super) system: Attributes,
    pub(super) group: Option<String>,
    /// Milliseconds since the epoch.
    pub(super) sent: u64,
    /// Milliseconds since the epoch.
    pub(super) first_received: Option<u64>,
    pub(super) receives: u32,
    /// The ARN of the queue that it was moved from.
    pub(super) dead_letter_source: Option<String>,
    pub(super) visible_at: Instant,
}

/// The receipt handle of a message: valid until the message is received again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    queue: u64,
    message: u64,
    receive: u64,
}

/// A message of one receive.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) message: Message,
    pub(super) handle: Handle,
}

/// The result of one poll of a queue.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) deliveries: Vec<Delivery>,
    /// Messages that were received as often as the redrive policy allows; they left this queue.
    pub(super) dead: Vec<Message>,
    /// When the next message becomes visible by itself.
    pub(super) next_visible: Option<Instant>,
}

/// How many messages there are of each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) visible: usize,
    pub(super) in_flight: usize,
    pub(super) delayed: usize,
}

impl Queue {
    pub(super) fn new(identity: u64, settings: Settings, now: u64) -> Self {
        Self {
            identity,
            settings,
            created: now,
            modified: now,
            messages: BTreeMap::new(),
            next: 0,
            changed: Arc::new(Notify::new()),
        }
    }

    pub(super) fn push(&mut self, message: Message) {
        self.messages.insert(self.next, message);
        self.next += 1;
        self.changed.notify_waiters();
    }

    /// Receives up to `most` visible messages and hides them for `visibility`.
    ///
    /// Messages that reached `max_receives` are taken out instead.
    pub(super) fn take(&mut self, most: usize, visibility: Duration, max_receives: Option<u32>, now_ms: u64) -> Taken {
        let now = Instant::now();
        let mut taken = Taken::default();
        let mut dead = Vec::new();
        for (key, message) in &mut self.messages {
            if taken.deliveries.len() == most {
                break;
            }
            if message.visible_at > now {
                let earliest = taken.next_visible.map_or(message.visible_at, |at| at.min(message.visible_at));
                taken.next_visible = Some(earliest);
                continue;
            }
            if max_receives.is_some_and(|most| message.receives >= most) {
                dead.push(*key);
                continue;
            }
            message.receives = message.receives.saturating_add(1);
            message.first_received.get_or_insert(now_ms);
            message.visible_at = now + visibility;
            taken.deliveries.push(Delivery {
                message: message.clone(),
                handle: Handle { queue: self.identity, message: *key, receive: u64::from(message.receives) },
            });
        }
        taken.dead = dead.iter().filter_map(|key| self.messages.remove(key)).collect();
        taken
    }

    /// Whether the handle was given out by this queue, for a message that is still here or not.
    pub(super) fn owns(&self, handle: Handle) -> bool {
        handle.queue == self.identity && handle.message < self.next
    }

    /// Deletes the message, unless it was received again since. Deleting twice is no error.
    pub(super) fn delete(&mut self, handle: Handle) {
        if self.current(handle).is_some() {
            self.messages.remove(&handle.message);
        }
    }

    /// Hides the message for that long from now. False when it is gone or was received again since.
    pub(super) fn hide(&mut self, handle: Handle, visibility: Duration) -> bool {
        let Some(message) = self.current(handle) else {
            return false;
        };
        message.visible_at = Instant::now() + visibility;
        // Also when it is hidden for longer: a waiting receive computes its next look anew.
        self.changed.notify_waiters();
        true
    }

    pub(super) fn purge(&mut self) {
        self.messages.clear();
    }

    pub(super) fn counts(&self) -> Counts {
        let now = Instant::now();
        let mut counts = Counts::default();
        for message in self.messages.values() {
            if message.visible_at <= now {
                counts.visible += 1;
            } else if message.receives == 0 {
                counts.delayed += 1;
            } else {
                counts.in_flight += 1;
            }
        }
        counts
    }

    fn current(&mut self, handle: Handle) -> Option<&mut Message> {
        self.messages.get_mut(&handle.message).filter(|message| u64::from(message.receives) == handle.receive)
    }
}

impl Handle {
    /// The opaque text of a receipt handle: three numbers of sixteen hexadecimal digits.
    pub(super) fn to_text(self) -> String {
        format!("{:016x}{:016x}{:016x}", self.queue, self.message, self.receive)
    }

    /// Parses a receipt handle; `None` if the text is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != 48 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = |from: usize| u64::from_str_radix(text.get(from..from + 16)?, 16).ok();
        Some(Self { queue: number(0)?, message: number(16)?, receive: number(32)? })
    }
}
