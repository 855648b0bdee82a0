//! Reads a client's frames, and assembles methods and complete messages.

use std::{collections::HashMap, sync::Arc};

use amq_protocol::{
    protocol::{AMQPClass, access, basic, channel, connection},
    types::ChannelId,
};
use tokio::{io::BufReader, net::tcp::OwnedReadHalf, sync::mpsc::UnboundedSender};

use super::{
    broker::At,
    connection::Shared,
    fault::{Fault, Scope},
    handshake::Negotiated,
    message::{Content, Published},
    queue::ConnectionId,
    wire::{
        ContentHeader, FrameKind, RawFrame, ReadError, decode_header, decode_method, frame_kind, method_frame,
        read_frame,
    },
};

/// The largest body, as RabbitMQ has it by default.
const BODY_MAX: u64 = 134_217_728;

/// The reading side of an open connection.
pub(super) struct Reader {
    shared: Arc<Shared>,
    id: ConnectionId,
    outbox: UnboundedSender<Vec<u8>>,
    channels: HashMap<ChannelId, Input>,
    limits: Negotiated,
}

/// The frame that a channel expects next.
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
pub(super) enum End {
    Gone,
    ClosedByClient,
    Fault(Fault, usize),
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: ConnectionId,
        outbox: UnboundedSender<Vec<u8>>,
        limits: Negotiated,
    ) -> Self {
        Self { shared, id, outbox, channels: HashMap::new(), limits }
    }

    /// Handles frames until the connection ends.
    pub(super) async fn read_all(&mut self, read: &mut BufReader<OwnedReadHalf>) -> End {
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
                    AMQPClass::Channel(channel::AMQPMethod::Close(_)) => self.send_close_ok(channel),
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
                self.send_close_ok(channel);
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
            return Err(Fault::frame_error("a body longer than its header declares"));
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

    fn send_close_ok(&self, channel: ChannelId) {
        let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
        self.post(channel, AMQPClass::Channel(ok));
    }

    /// Queues a method for the client.
    pub(super) fn post(&self, channel: ChannelId, method: AMQPClass) {
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
