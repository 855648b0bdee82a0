//! The state shared by all connections: deliveries, dead letters, clean-up after lost clients.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use amq_protocol::{
    protocol::{AMQPClass, basic},
    types::ChannelId,
};
use tokio::{sync::mpsc::UnboundedSender, time::Instant};

use super::{
    dead_letter::{RejectReason, dead_letter, goes_in_circles},
    fault::{Fault, short},
    message::Published,
    queue::{ConnectionId, Consumer, Entry, Queue},
    routing::Topology,
    wire::{content_frames, method_frame},
};

/// One virtual host with everything in it. All of it under one lock: slow, and easy to be sure of.
pub(super) struct Broker {
    pub(super) topology: Topology,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) sessions: HashMap<ConnectionId, Session>,
    /// Asks to be called back at an instant because a message in that queue expires.
    timer: UnboundedSender<(Instant, String)>,
    /// Queues in which something changed since they were last served.
    dirty: BTreeSet<String>,
    /// The moment of the operation at hand: nothing expires in the middle of one.
    now: Instant,
    last_number: u64,
}

/// An open connection.
pub(super) struct Session {
    outbox: UnboundedSender<Vec<u8>>,
    frame_max: usize,
    wants_cancel_notices: bool,
    pub(super) channels: HashMap<ChannelId, Channel>,
}

/// An open channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    last_tag: u64,
    pub(super) unsettled: BTreeMap<u64, Unsettled>,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) confirms: bool,
    pub(super) published: u64,
    /// For each consumer that comes from now on; 0 for no limit.
    pub(super) prefetch: u16,
    /// For all consumers of the channel together; 0 for no limit.
    pub(super) shared_prefetch: u16,
    pub(super) last_queue: String,
}

/// A message that was delivered and not yet acknowledged.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) queue: String,
    pub(super) entry: Entry,
    /// The consumer that got it; none if it was fetched by `basic.get`.
    pub(super) consumer: Option<String>,
}

/// The receivers of a message.
#[derive(Debug)]
pub(super) enum Recipient {
    /// A consumer or getter that acknowledges nothing.
    Forgetful,
    /// A client that asked for one message.
    Getter,
    /// The consumer of this tag.
    Consumer(String),
}

/// A channel's record of one of its consumers.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) queue: String,
    pub(super) unsettled: usize,
}

/// Which channel of which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) connection: ConnectionId,
    pub(super) channel: ChannelId,
}

impl Broker {
    pub(super) fn new(timer: UnboundedSender<(Instant, String)>) -> Self {
        Self {
            topology: Topology::new(),
            queues: BTreeMap::new(),
            sessions: HashMap::new(),
            timer,
            dirty: BTreeSet::new(),
            now: Instant::now(),
            last_number: 0,
        }
    }

    /// A number that was not given before: for connections and generated names.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn open_connection(
        &mut self,
        connection: ConnectionId,
        outbox: UnboundedSender<Vec<u8>>,
        frame_max: usize,
        wants_cancel_notices: bool,
    ) {
        let session = Session { outbox, frame_max, wants_cancel_notices, channels: HashMap::new() };
        self.sessions.insert(connection, session);
    }

    /// Cleans up after a connection: its messages go back, its consumers and its exclusive queues go away.
    pub(super) fn close_connection(&mut self, connection: ConnectionId) {
        let Some(session) = self.sessions.remove(&connection) else {
            return;
        };
        for channel in session.channels.into_values() {
            self.abandon(channel);
        }
        for queue in self.queues.values_mut() {
            queue.consumers.retain(|c| c.connection != connection);
        }
        let owned: Vec<String> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.owner == Some(connection))
            .map(|(name, _)| name.clone())
            .collect();
        for name in owned {
            self.delete_queue(&name);
        }
        self.serve_all();
    }

    pub(super) fn open_channel(&mut self, at: At) {
        if let Some(session) = self.sessions.get_mut(&at.connection) {
            session.channels.insert(at.channel, Channel::default());
        }
    }

    /// Cleans up after a channel: its messages go back to their queues, its consumers go away.
    pub(super) fn close_channel(&mut self, at: At) {
        let channel = self.sessions.get_mut(&at.connection).and_then(|session| session.channels.remove(&at.channel));
        if let Some(channel) = channel {
            for queue in self.queues.values_mut() {
                queue.consumers.retain(|c| (c.connection, c.channel) != (at.connection, at.channel));
            }
            self.abandon(channel);
            self.serve_all();
        }
    }

    fn abandon(&mut self, channel: Channel) {
        for unsettled in channel.unsettled.into_values() {
            self.requeue(unsettled);
        }
        for subscription in channel.subscriptions.into_values() {
            self.delete_if_abandoned(&subscription.queue);
        }
    }

    /// The state of a channel.
    pub(super) fn channel(&mut self, at: At) -> Result<&mut Channel, Fault> {
        self.sessions
            .get_mut(&at.connection)
            .and_then(|session| session.channels.get_mut(&at.channel))
            .ok_or_else(|| Fault::channel_error("expected 'channel.open'"))
    }

    /// Queues a method for a client.
    pub(super) fn send(&self, at: At, method: AMQPClass) {
        if let Some(session) = self.sessions.get(&at.connection) {
            session.post(method_frame(at.channel, method));
        }
    }

    /// Queues a method with content for a client.
    pub(super) fn send_content(&self, at: At, method: basic::AMQPMethod, message: &Published) {
        if let Some(session) = self.sessions.get(&at.connection) {
            let content = &message.content;
            session.post(content_frames(at.channel, method, &content.wire, &content.body, session.frame_max));
        }
    }

    /// The queues a message reaches. `None` if there is no such exchange.
    pub(super) fn route(&self, exchange: &str, routing_key: &str) -> Option<BTreeSet<String>> {
        if exchange.is_empty() {
            let there = self.queues.contains_key(routing_key);
            return Some(there.then(|| routing_key.to_owned()).into_iter().collect());
        }
        self.topology.route(exchange, routing_key)
    }

    /// Appends a message to queues; they are served by the next [`serve_all`](Self::serve_all).
    pub(super) fn enqueue(&mut self, message: Published, queues: BTreeSet<String>) {
        let message = Arc::new(message);
        for name in queues {
            let Some(queue) = self.queues.get_mut(&name) else {
                continue;
            };
            if let Some(expires) = queue.push(Arc::clone(&message), self.now) {
                // The channel is closed only while the double stops.
                let _ = self.timer.send((expires, name.clone()));
            }
            self.dirty.insert(name);
        }
    }

    /// Puts a delivered message back to its queue, if that is still there.
    pub(super) fn requeue(&mut self, unsettled: Unsettled) {
        if let Some(queue) = self.queues.get_mut(&unsettled.queue) {
            queue.requeue(unsettled.entry);
            self.dirty.insert(unsettled.queue);
        }
    }

    /// Sends a message to the dead-letter exchange of the queue it died in; without one it is gone.
    pub(super) fn die(&mut self, name: &str, message: &Published, reason: RejectReason) {
        let Some(queue) = self.queues.get(name) else {
            return;
        };
        let Some(exchange) = &queue.arguments.dead_letter_exchange else {
            return;
        };
        let routing_key = queue.arguments.dead_letter_routing_key.as_deref();
        let dead = dead_letter(message, name, reason, exchange, routing_key);
        // As in RabbitMQ, a dead letter to an exchange that does not exist is lost without a word.
        let mut targets = self.route(&dead.exchange, &dead.routing_key).unwrap_or_default();
        targets.retain(|target| !goes_in_circles(&dead, target, reason));
        self.enqueue(dead, targets);
    }

    /// Marks a queue to be served and forgets nothing else.
    pub(super) fn touch(&mut self, queue: &str) {
        self.dirty.insert(queue.to_owned());
    }

    /// Marks every queue to be served: a consumer somewhere has room again.
    pub(super) fn touch_all(&mut self) {
        self.dirty.extend(self.queues.keys().cloned());
    }

    /// Begins an operation: the clock is read once for all of it.
    pub(super) fn tick(&mut self) {
        self.now = Instant::now();
    }

    /// Delivers and buries in each queue that changed until nothing moves any more.
    pub(super) fn serve_all(&mut self) {
        while let Some(name) = self.dirty.pop_first() {
            self.serve(&name);
        }
    }

    fn serve(&mut self, name: &str) {
        loop {
            let Some(queue) = self.queues.get_mut(name) else {
                return;
            };
            if queue.is_front_fresh(self.now)
                && let Some(consumer) = next_with_room(queue, &self.sessions)
                && let Some(entry) = queue.entries.pop_front()
            {
                self.deliver(name, entry, consumer);
                continue;
            }
            let Some(entry) = queue.pop_expired(self.now) else {
                return;
            };
            self.die(name, &entry.message, RejectReason::Expired);
        }
    }

    fn deliver(&mut self, queue: &str, entry: Entry, consumer: Consumer) {
        let at = At { connection: consumer.connection, channel: consumer.channel };
        let message = Arc::clone(&entry.message);
        let redelivered = entry.redelivered;
        let tag = consumer.tag.clone();
        let to = if consumer.no_ack { Recipient::Forgetful } else { Recipient::Consumer(consumer.tag) };
        let Some(delivery_tag) = self.hand_out(at, queue, entry, to) else {
            return;
        };
        let deliver = basic::AMQPMethod::Deliver(basic::Deliver {
            consumer_tag: short(&tag),
            delivery_tag,
            redelivered,
            exchange: short(&message.exchange),
            routing_key: short(&message.routing_key),
        });
        self.send_content(at, deliver, &message);
    }

    /// Gives a message the channel's next delivery tag and keeps it until it is settled, if it ever will be.
    pub(super) fn hand_out(&mut self, at: At, queue: &str, entry: Entry, to: Recipient) -> Option<u64> {
        let channel = self.channel(at).ok()?;
        channel.last_tag += 1;
        let tag = channel.last_tag;
        let consumer = match to {
            Recipient::Forgetful => return Some(tag),
            Recipient::Getter => None,
            Recipient::Consumer(consumer) => {
                if let Some(subscription) = channel.subscriptions.get_mut(&consumer) {
                    subscription.unsettled += 1;
                }
                Some(consumer)
            }
        };
        let unsettled = Unsettled { queue: queue.to_owned(), entry, consumer };
        channel.unsettled.insert(tag, unsettled);
        Some(tag)
    }

    /// Deletes a queue with its messages and notifies its consumers. Returns the number of messages.
    pub(super) fn delete_queue(&mut self, name: &str) -> usize {
        let Some(queue) = self.queues.remove(name) else {
            return 0;
        };
        self.topology.forget_queue(name);
        for consumer in &queue.consumers {
            let at = At { connection: consumer.connection, channel: consumer.channel };
            if let Ok(channel) = self.channel(at) {
                channel.subscriptions.remove(&consumer.tag);
            }
            let notify = self.sessions.get(&at.connection).is_some_and(|session| session.wants_cancel_notices);
            if notify {
                let cancel = basic::Cancel { consumer_tag: short(&consumer.tag), nowait: true };
                self.send(at, AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)));
            }
        }
        queue.entries.len()
    }

    /// Deletes an auto-delete queue that has just lost its last consumer.
    pub(super) fn delete_if_abandoned(&mut self, name: &str) {
        let abandoned = self.queues.get(name).is_some_and(|queue| queue.auto_delete && queue.consumers.is_empty());
        if abandoned {
            self.delete_queue(name);
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("queues", &self.queues.len())
            .field("connections", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

impl Session {
    fn post(&self, frames: Vec<u8>) {
        // The writer is gone while the connection closes; its messages return to the queues then.
        let _ = self.outbox.send(frames);
    }
}

impl Channel {
    fn has_room(&self, consumer: &Consumer) -> bool {
        if consumer.no_ack {
            return true;
        }
        let own = self.subscriptions.get(&consumer.tag).map_or(0, |subscription| subscription.unsettled);
        let all: usize = self.subscriptions.values().map(|s| s.unsettled).sum();
        (consumer.prefetch == 0 || own < usize::from(consumer.prefetch))
            && (self.shared_prefetch == 0 || all < usize::from(self.shared_prefetch))
    }
}

/// The consumer whose turn it is among those that may get one more; it goes to the end of the line.
fn next_with_room(queue: &mut Queue, sessions: &HashMap<ConnectionId, Session>) -> Option<Consumer> {
    let at = queue.consumers.iter().position(|consumer| {
        sessions
            .get(&consumer.connection)
            .and_then(|session| session.channels.get(&consumer.channel))
            .is_some_and(|channel| channel.has_room(consumer))
    })?;
    let consumer = queue.consumers.remove(at)?;
    queue.consumers.push_back(consumer.clone());
    Some(consumer)
}
