//! One client's connection: frames in, methods and contents out of them, and how it ends.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amq_protocol::{
    protocol::{AMQPClass, access, basic, channel, connection},
    types::ChannelId,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    time::timeout,
};

use super::{
    broker::{At, Broker},
    fault::{Fault, Scope},
    handshake::{Negotiated, negotiate},
    message::{Content, Published, Tap},
    queue::ConnectionId,
    wire::{
        ContentHeader, FrameKind, RawFrame, ReadError, decode_header, decode_method, frame_kind, heartbeat_frame,
        method_frame, read_frame,
    },
};

/// How long a client may take to introduce itself, as in RabbitMQ.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to agree that the connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest body, as RabbitMQ has it by default.
const BODY_MAX: u64 = 134_217_728;

/// How many octets of frames are gathered into one write.
const WRITE_BATCH: usize = 65_536;

/// What all connections share.
pub(super) struct Shared {
    pub(super) broker: Mutex<Broker>,
    pub(super) taps: Vec<Tap>,
    pub(super) frame_max: u32,
    pub(super) heartbeat: u16,
}

/// The reading side of an open connection.
struct Connection {
    shared: Arc<Shared>,
    id: ConnectionId,
    outbox: UnboundedSender<Vec<u8>>,
    channels: HashMap<ChannelId, Input>,
    limits: Negotiated,
}

/// What a channel expects next.
enum Input {
    Method,
    /// The header of a published message, or more of its body.
    Content(Box<Assembly>),
    /// A `channel.close-ok`: everything else was sent before the client heard that the channel is closed.
    CloseOk,
}

/// A published message of which parts are still to come.
struct Assembly {
    publish: basic::Publish,
    header: Option<ContentHeader>,
    body: Vec<u8>,
}

/// Why a connection ends.
enum End {
    Gone,
    ClosedByClient,
    Fault(Fault, usize),
}

/// Cleans up after a connection, also if its task is cancelled or a tap panics.
struct Registration {
    shared: Arc<Shared>,
    id: ConnectionId,
}

impl Shared {
    /// The broker, with its clock set. A panic of another connection's task does not matter to this one.
    pub(super) fn broker(&self) -> MutexGuard<'_, Broker> {
        let mut broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        broker.tick();
        broker
    }
}

impl Registration {
    fn new(shared: &Arc<Shared>, outbox: UnboundedSender<Vec<u8>>, limits: Negotiated) -> Self {
        let mut broker = shared.broker();
        let id = broker.next_number();
        broker.open_connection(id, outbox, limits.frame_max, limits.wants_cancel_notices);
        Self { shared: Arc::clone(shared), id }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.broker().close_connection(self.id);
    }
}

/// Serves one client until either side ends it, or `cut` changes.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, mut cut: watch::Receiver<u64>) {
    // Only latency is lost if this fails.
    let _ = stream.set_nodelay(true);
    tokio::select! {
        () = converse(stream, shared) => {}
        _ = cut.changed() => {}
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let negotiation = negotiate(&mut read, &mut write, shared.frame_max, shared.heartbeat);
    let limits = match timeout(HANDSHAKE_TIMEOUT, negotiation).await {
        Ok(Ok(limits)) => limits,
        Ok(Err(ReadError::Fault(fault, rest))) => {
            let _ = write.write_all(&method_frame(0, fault.to_close())).await;
            return linger(&mut read, rest).await;
        }
        Ok(Err(ReadError::Closed)) | Err(_) => return,
    };

    let (outbox, frames) = unbounded_channel();
    let registration = Registration::new(&shared, outbox.clone(), limits);
    let id = registration.id;
    let mut connection = Connection { shared, id, outbox, channels: HashMap::new(), limits };

    let mut writer = std::pin::pin!(write_all(write, frames, limits.heartbeat));
    let end = tokio::select! {
        end = connection.read_all(&mut read) => end,
        // The client takes nothing any more.
        _ = &mut writer => return,
    };
    let rest = match end {
        End::Gone => return,
        End::ClosedByClient => {
            let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
            connection.post(0, AMQPClass::Connection(ok));
            None
        }
        End::Fault(fault, rest) => {
            connection.post(0, fault.to_close());
            Some(rest)
        }
    };
    // With the last sender gone, the writer ends once everything is written; the socket stays open until then.
    drop(registration);
    drop(connection);
    let written = timeout(CLOSE_TIMEOUT, writer).await;
    if let Some(rest) = rest {
        linger(&mut read, rest).await;
    }
    drop(written);
}

/// Writes frames as they come until nobody can send any more; in between, now and then, a heartbeat.
async fn write_all(
    mut write: OwnedWriteHalf,
    mut frames: UnboundedReceiver<Vec<u8>>,
    heartbeat: u16,
) -> Option<OwnedWriteHalf> {
    // Half the negotiated time, so that one may be late.
    let interval = Duration::from_millis(u64::from(heartbeat) * 500);
    loop {
        let next = if interval.is_zero() {
            frames.recv().await
        } else {
            match timeout(interval, frames.recv()).await {
                Ok(next) => next,
                Err(_) => Some(heartbeat_frame()),
            }
        };
        let Some(mut batch) = next else {
            return Some(write);
        };
        while batch.len() < WRITE_BATCH
            && let Ok(more) = frames.try_recv()
        {
            batch.extend_from_slice(&more);
        }
        write.write_all(&batch).await.ok()?;
    }
}

/// Waits until the client has seen that the connection is closed. To close the socket with unread octets in it could
/// take the reason away from under the client's eyes.
async fn linger(read: &mut BufReader<OwnedReadHalf>, rest: usize) {
    let reading = async {
        // What is left of a frame that was refused before it was read, and its end marker.
        let rest = u64::try_from(rest).unwrap_or(u64::MAX);
        tokio::io::copy(&mut read.take(rest), &mut tokio::io::sink()).await?;
        loop {
            let Ok(frame) = read_frame(read, WRITE_BATCH * 2).await else {
                break;
            };
            let close_ok = frame.channel == 0
                && matches!(
                    decode_method(&frame.payload),
                    Ok(AMQPClass::Connection(connection::AMQPMethod::CloseOk(_)))
                );
            if close_ok {
                return Ok(());
            }
        }
        // No frames any more, but perhaps octets.
        tokio::io::copy(read, &mut tokio::io::sink()).await?;
        Ok::<_, std::io::Error>(())
    };
    let _ = timeout(CLOSE_TIMEOUT, reading).await;
}

impl Connection {
    async fn read_all(&mut self, read: &mut BufReader<OwnedReadHalf>) -> End {
        loop {
            let frame = match read_frame(read, self.limits.frame_max).await {
                Ok(frame) => frame,
                Err(ReadError::Closed) => return End::Gone,
                Err(ReadError::Fault(fault, rest)) => return End::Fault(fault, rest),
            };
            let channel = frame.channel;
            match self.on_frame(frame) {
                Ok(true) => {}
                Ok(false) => return End::ClosedByClient,
                Err(fault) if fault.scope() == Scope::Connection => return End::Fault(fault, 0),
                Err(fault) => {
                    self.shared.broker().close_channel(self.at(channel));
                    self.channels.insert(channel, Input::CloseOk);
                    self.post(channel, fault.to_close());
                }
            }
        }
    }

    /// Handles one frame; `false` when it was the client's goodbye.
    fn on_frame(&mut self, frame: RawFrame) -> Result<bool, Fault> {
        let RawFrame { kind, channel, payload } = frame;
        match (frame_kind(kind), channel) {
            (None, _) => Err(Fault::frame_error(format!("unknown frame type {kind}"))),
            (Some(FrameKind::Heartbeat), 0) => Ok(true),
            (Some(FrameKind::Method), 0) => on_connection_method(&payload),
            (Some(_), 0) | (Some(FrameKind::Heartbeat), _) => {
                Err(Fault::unexpected_frame("a frame on the wrong channel"))
            }
            (Some(FrameKind::Method), _) => {
                let method = decode_method(&payload)?;
                let ids = (method.get_amqp_class_id(), method.get_amqp_method_id());
                self.on_method(channel, method).map_err(|fault| fault.caused_by(ids.0, ids.1))?;
                Ok(true)
            }
            (Some(FrameKind::Header), _) => {
                self.on_header(channel, &payload).map_err(|fault| fault.caused_by(60, 40))?;
                Ok(true)
            }
            (Some(FrameKind::Body), _) => {
                self.on_body(channel, &payload).map_err(|fault| fault.caused_by(60, 40))?;
                Ok(true)
            }
        }
    }

    fn on_method(&mut self, channel: ChannelId, method: AMQPClass) -> Result<(), Fault> {
        let at = self.at(channel);
        match self.channels.get(&channel) {
            None => match method {
                AMQPClass::Channel(channel::AMQPMethod::Open(_)) => self.open_channel(channel),
                _ => Err(Fault::channel_error("expected 'channel.open'")),
            },
            Some(Input::CloseOk) => {
                match method {
                    AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)) => {
                        self.channels.remove(&channel);
                    }
                    // Both sides closed at once.
                    AMQPClass::Channel(channel::AMQPMethod::Close(_)) => self.say_close_ok(channel),
                    _ => {}
                }
                Ok(())
            }
            Some(Input::Content(_)) => Err(Fault::unexpected_frame(
                "expected content header for class 60, got non content header frame instead",
            )),
            Some(Input::Method) => match method {
                AMQPClass::Basic(basic::AMQPMethod::Publish(publish)) if publish.immediate => {
                    Err(Fault::not_implemented("immediate=true"))
                }
                AMQPClass::Basic(basic::AMQPMethod::Publish(publish)) => {
                    let assembly = Assembly { publish, header: None, body: Vec::new() };
                    self.channels.insert(channel, Input::Content(Box::new(assembly)));
                    Ok(())
                }
                AMQPClass::Channel(method) => self.on_channel_method(channel, &method),
                AMQPClass::Basic(method) => self.shared.broker().basic(at, method),
                AMQPClass::Queue(method) => self.shared.broker().queue(at, method),
                AMQPClass::Exchange(method) => self.shared.broker().exchange(at, method),
                AMQPClass::Confirm(method) => self.shared.broker().confirm(at, &method),
                AMQPClass::Access(access::AMQPMethod::Request(_)) => {
                    let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                    self.post(channel, AMQPClass::Access(ok));
                    Ok(())
                }
                AMQPClass::Tx(_) => Err(Fault::not_implemented("this test double has no transactions")),
                AMQPClass::Access(_) | AMQPClass::Connection(_) => {
                    Err(Fault::command_invalid("unexpected on this channel"))
                }
            },
        }
    }

    fn open_channel(&mut self, channel: ChannelId) -> Result<(), Fault> {
        let limit = self.limits.channel_max;
        if self.channels.len() >= usize::from(limit) {
            return Err(Fault::not_allowed(format!(
                "number of channels opened ({limit}) has reached the negotiated channel_max ({limit})"
            )));
        }
        self.channels.insert(channel, Input::Method);
        self.shared.broker().open_channel(self.at(channel));
        let ok = channel::AMQPMethod::OpenOk(channel::OpenOk {});
        self.post(channel, AMQPClass::Channel(ok));
        Ok(())
    }

    fn on_channel_method(&mut self, channel: ChannelId, method: &channel::AMQPMethod) -> Result<(), Fault> {
        match method {
            channel::AMQPMethod::Close(_) => {
                self.shared.broker().close_channel(self.at(channel));
                self.channels.remove(&channel);
                self.say_close_ok(channel);
                Ok(())
            }
            channel::AMQPMethod::Flow(flow) if flow.active => {
                let ok = channel::AMQPMethod::FlowOk(channel::FlowOk { active: true });
                self.post(channel, AMQPClass::Channel(ok));
                Ok(())
            }
            channel::AMQPMethod::Flow(_) => Err(Fault::not_implemented("active=false")),
            channel::AMQPMethod::Open(_) => Err(Fault::channel_error("second 'channel.open' seen")),
            _ => Err(Fault::command_invalid("a reply from a client")),
        }
    }

    fn on_header(&mut self, channel: ChannelId, payload: &[u8]) -> Result<(), Fault> {
        let assembly = match self.channels.get_mut(&channel) {
            Some(Input::CloseOk) => return Ok(()),
            Some(Input::Content(assembly)) if assembly.header.is_none() => assembly,
            _ => return Err(Fault::unexpected_frame("a content header without a method")),
        };
        let header = decode_header(payload)?;
        let size = header.body_size;
        if size > BODY_MAX {
            return Err(Fault::precondition_failed(format!(
                "message size {size} is larger than configured max size {BODY_MAX}"
            )));
        }
        assembly.header = Some(header);
        self.complete(channel)
    }

    fn on_body(&mut self, channel: ChannelId, payload: &[u8]) -> Result<(), Fault> {
        let (assembly, expected) = match self.channels.get_mut(&channel) {
            Some(Input::CloseOk) => return Ok(()),
            Some(Input::Content(assembly)) => match &assembly.header {
                Some(header) => {
                    let expected = header.body_size;
                    (assembly, expected)
                }
                None => {
                    return Err(Fault::unexpected_frame(
                        "expected content header for class 60, got content body frame instead",
                    ));
                }
            },
            _ => return Err(Fault::unexpected_frame("a content body without a method")),
        };
        assembly.body.extend_from_slice(payload);
        if u64::try_from(assembly.body.len()).is_ok_and(|length| length > expected) {
            return Err(Fault::frame_error("a body longer than its header said"));
        }
        self.complete(channel)
    }

    /// Publishes the message of this channel if all of it is there.
    fn complete(&mut self, channel: ChannelId) -> Result<(), Fault> {
        let Some(input) = self.channels.get_mut(&channel) else {
            return Ok(());
        };
        let is_complete = matches!(input, Input::Content(assembly)
        if assembly.header.as_ref().is_some_and(|header| {
            u64::try_from(assembly.body.len()).is_ok_and(|length| length == header.body_size)
        }));
        if !is_complete {
            return Ok(());
        }
        let Input::Content(assembly) = std::mem::replace(input, Input::Method) else {
            return Ok(());
        };
        let Assembly { publish, header: Some(header), body } = *assembly else {
            return Ok(());
        };
        let mut published = Published {
            exchange: publish.exchange.into(),
            routing_key: publish.routing_key.into(),
            mandatory: publish.mandatory,
            content: Content { properties: header.properties, wire: header.wire, body },
        };
        // Not under the broker's lock: a tap may take its time, and may call the double.
        for tap in &self.shared.taps {
            tap(&mut published);
        }
        self.shared.broker().publish(self.at(channel), published)
    }

    fn say_close_ok(&self, channel: ChannelId) {
        let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
        self.post(channel, AMQPClass::Channel(ok));
    }

    fn post(&self, channel: ChannelId, method: AMQPClass) {
        // The writer is gone only when this connection is about to end.
        let _ = self.outbox.send(method_frame(channel, method));
    }

    fn at(&self, channel: ChannelId) -> At {
        At { connection: self.id, channel }
    }
}

/// Handles a method on channel 0; `false` when it is the client's goodbye.
fn on_connection_method(payload: &[u8]) -> Result<bool, Fault> {
    match decode_method(payload)? {
        AMQPClass::Connection(connection::AMQPMethod::Close(_)) => Ok(false),
        AMQPClass::Connection(connection::AMQPMethod::CloseOk(_)) => Ok(true),
        method => {
            let ids = (method.get_amqp_class_id(), method.get_amqp_method_id());
            Err(Fault::command_invalid("unexpected on channel 0").caused_by(ids.0, ids.1))
        }
    }
}
