//! One queue: its messages and its consumers.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use amq_protocol::types::{AMQPValue, ChannelId, FieldTable};
use tokio::time::Instant;

use super::{fault::Fault, message::Published};

/// The number of a connection, never reused.
pub(super) type ConnectionId = u64;

/// A queue and its consumers.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    /// The only connection that may use it; it dies with it.
    pub(super) owner: Option<ConnectionId>,
    pub(super) arguments: Arguments,
    pub(super) entries: VecDeque<Entry>,
    /// The one whose turn is next is in front.
    pub(super) consumers: VecDeque<Consumer>,
    next_position: u64,
}

/// The declaration's arguments that have an effect here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arguments {
    pub(super) dead_letter_exchange: Option<String>,
    pub(super) dead_letter_routing_key: Option<String>,
    pub(super) message_ttl: Option<Duration>,
}

/// A message in a queue, or out of it and not yet settled.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) message: Arc<Published>,
    pub(super) redelivered: bool,
    pub(super) expires: Option<Instant>,
    position: u64,
}

/// A subscription.
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub(super) connection: ConnectionId,
    pub(super) channel: ChannelId,
    pub(super) tag: String,
    pub(super) no_ack: bool,
    pub(super) exclusive: bool,
    /// How many it may hold unsettled; 0 for any number.
    pub(super) prefetch: u16,
}

impl Queue {
    pub(super) fn new(durable: bool, auto_delete: bool, owner: Option<ConnectionId>, arguments: Arguments) -> Self {
        Self {
            durable,
            auto_delete,
            owner,
            arguments,
            entries: VecDeque::new(),
            consumers: VecDeque::new(),
            next_position: 0,
        }
    }

    /// Appends a message. Returns when it expires, if it does.
    pub(super) fn push(&mut self, message: Arc<Published>, now: Instant) -> Option<Instant> {
        let own = expiration(&message);
        let ttl = match (own, self.arguments.message_ttl) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let expires = ttl.and_then(|ttl| now.checked_add(ttl));
        self.entries.push_back(Entry { message, redelivered: false, expires, position: self.next_position });
        self.next_position += 1;
        expires
    }

    /// Puts a message back to where it was, marked as redelivered.
    pub(super) fn requeue(&mut self, mut entry: Entry) {
        entry.redelivered = true;
        let at = self.entries.partition_point(|other| other.position < entry.position);
        self.entries.insert(at, entry);
    }

    /// Takes the message in front out if its time is up at `now`.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Entry> {
        let expires = self.entries.front()?.expires?;
        if expires <= now { self.entries.pop_front() } else { None }
    }

    /// Whether the message in front may still be delivered at `now`: one with no time to live at all may, at the
    /// moment it arrives.
    pub(super) fn is_front_fresh(&self, now: Instant) -> bool {
        self.entries.front().is_some_and(|entry| entry.expires.is_none_or(|expires| expires >= now))
    }
}

impl Arguments {
    /// Reads those arguments that have an effect; all others are ignored.
    pub(super) fn read(table: &FieldTable, queue: &str) -> Result<Self, Fault> {
        let invalid = |key: &str, why: &str| {
            Fault::precondition_failed(format!("invalid arg '{key}' for queue '{queue}' in vhost '/': {why}"))
        };
        let text = |key: &str| match table.inner().get(key) {
            None => Ok(None),
            Some(AMQPValue::LongString(text)) => Ok(Some(text.to_string())),
            Some(other) => Err(invalid(key, &format!("{{unacceptable_type,{}}}", other.get_type()))),
        };
        let dead_letter_exchange = text("x-dead-letter-exchange")?;
        let dead_letter_routing_key = text("x-dead-letter-routing-key")?;
        if dead_letter_routing_key.is_some() && dead_letter_exchange.is_none() {
            return Err(invalid("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined"));
        }
        let message_ttl = match table.inner().get("x-message-ttl") {
            None => None,
            Some(value) => {
                let milliseconds = integer(value).ok_or_else(|| {
                    let why = format!("{{unacceptable_type,{}}}", value.get_type());
                    invalid("x-message-ttl", &why)
                })?;
                let milliseconds = u64::try_from(milliseconds)
                    .map_err(|_| invalid("x-message-ttl", &format!("{{value_negative,{milliseconds}}}")))?;
                Some(Duration::from_millis(milliseconds))
            }
        };
        Ok(Self { dead_letter_exchange, dead_letter_routing_key, message_ttl })
    }

    /// The first argument in which a second declaration differs.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.dead_letter_exchange != other.dead_letter_exchange {
            Some("x-dead-letter-exchange")
        } else if self.dead_letter_routing_key != other.dead_letter_routing_key {
            Some("x-dead-letter-routing-key")
        } else if self.message_ttl != other.message_ttl {
            Some("x-message-ttl")
        } else {
            None
        }
    }
}

/// The message's own time to live; a publish whose expiration is not a number was refused.
fn expiration(message: &Published) -> Option<Duration> {
    let text = message.properties().expiration().as_ref()?;
    text.as_str().parse().ok().map(Duration::from_millis)
}

fn integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(n) => Some(n.into()),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => Some(n.into()),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => Some(n.into()),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::LongLongInt(n) => Some(n),
        _ => None,
    }
}
