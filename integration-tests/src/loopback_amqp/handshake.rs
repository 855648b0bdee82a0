//! How a connection begins: protocol header, login, limits, virtual host.

use amq_protocol::{
    protocol::{AMQPClass, connection},
    types::{AMQPValue, FieldTable},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    basic::USER,
    fault::{Fault, short},
    wire::{FrameKind, ReadError, decode_method, frame_kind, method_frame, read_frame},
};

/// The smallest frame limit that a client may ask for, and that the double can be set to.
pub(super) const FRAME_MIN: u32 = 4096;

/// How many channels a connection may have, as RabbitMQ offers by default.
pub(super) const CHANNEL_MAX: u16 = 2047;

const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\0\0\x09\x01";
const PASSWORD: &str = "guest";
const VIRTUAL_HOST: &str = "/";

/// The negotiated parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Negotiated {
    pub(super) frame_max: usize,
    /// Seconds; 0 for none.
    pub(super) heartbeat: u16,
    pub(super) channel_max: u16,
    /// Whether the client understands a `basic.cancel` from the broker.
    pub(super) wants_cancel_notices: bool,
}

/// Leads a client through the negotiation.
pub(super) async fn negotiate<R, W>(
    read: &mut R,
    write: &mut W,
    frame_max: u32,
    heartbeat: u16,
) -> Result<Negotiated, ReadError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut header = [0; 8];
    read.read_exact(&mut header).await?;
    if header != PROTOCOL_HEADER {
        // Section 4.2.2: name the protocol that is spoken here, then close.
        write.write_all(&PROTOCOL_HEADER).await?;
        return Err(ReadError::Closed);
    }
    let limit = usize::try_from(frame_max).unwrap_or(usize::MAX);

    send(write, connection::AMQPMethod::Start(start())).await?;
    let connection::AMQPMethod::StartOk(start_ok) = hear(read, limit).await? else {
        return Err(Fault::command_invalid("expected 'connection.start-ok'").into());
    };
    let login = format!("\0{USER}\0{PASSWORD}");
    if start_ok.mechanism.as_str() != "PLAIN" || start_ok.response.as_bytes() != login.as_bytes() {
        return Err(if has_capability(&start_ok.client_properties, "authentication_failure_close") {
            Fault::login_refused().into()
        } else {
            ReadError::Closed
        });
    }

    let tune = connection::Tune { channel_max: CHANNEL_MAX, frame_max, heartbeat };
    send(write, connection::AMQPMethod::Tune(tune)).await?;
    let connection::AMQPMethod::TuneOk(tune_ok) = hear(read, limit).await? else {
        return Err(Fault::command_invalid("expected 'connection.tune-ok'").into());
    };
    if !is_agreeable(&tune_ok, frame_max) {
        // RabbitMQ 3.10 sends no error here; it only logs.
        return Err(ReadError::Closed);
    }

    let connection::AMQPMethod::Open(open) = hear(read, limit).await? else {
        return Err(Fault::command_invalid("expected 'connection.open'").into());
    };
    if open.virtual_host.as_str() != VIRTUAL_HOST {
        let text = format!("vhost {} not found", open.virtual_host);
        return Err(Fault::not_allowed(text).caused_by(10, 40).into());
    }
    send(write, connection::AMQPMethod::OpenOk(connection::OpenOk {})).await?;
    Ok(Negotiated {
        frame_max: usize::try_from(tune_ok.frame_max).unwrap_or(limit),
        heartbeat: tune_ok.heartbeat,
        channel_max: tune_ok.channel_max,
        wants_cancel_notices: has_capability(&start_ok.client_properties, "consumer_cancel_notify"),
    })
}

fn start() -> connection::Start {
    let mut capabilities = FieldTable::default();
    for capability in [
        "authentication_failure_close",
        "basic.nack",
        "consumer_cancel_notify",
        "exchange_exchange_bindings",
        "per_consumer_qos",
        "publisher_confirms",
    ] {
        capabilities.insert(short(capability), AMQPValue::Boolean(true));
    }
    let mut server_properties = FieldTable::default();
    for (key, value) in
        [("product", "propagation-testkit loopback (a test double)"), ("version", env!("CARGO_PKG_VERSION"))]
    {
        server_properties.insert(short(key), AMQPValue::LongString(value.into()));
    }
    server_properties.insert(short("capabilities"), AMQPValue::FieldTable(capabilities));
    connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties,
        mechanisms: "PLAIN".into(),
        locales: "en_US".into(),
    }
}

/// A client may lower an offered value, not raise it: 0 means no limit, so it is higher than any.
fn is_agreeable(tune_ok: &connection::TuneOk, offered: u32) -> bool {
    (FRAME_MIN..=offered).contains(&tune_ok.frame_max) && (1..=CHANNEL_MAX).contains(&tune_ok.channel_max)
}

fn has_capability(properties: &FieldTable, name: &str) -> bool {
    matches!(
        properties.inner().get("capabilities"),
        Some(AMQPValue::FieldTable(capabilities))
            if capabilities.inner().get(name) == Some(&AMQPValue::Boolean(true))
    )
}

async fn send<W>(write: &mut W, method: connection::AMQPMethod) -> std::io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let frame = method_frame(0, AMQPClass::Connection(method));
    write.write_all(&frame).await
}

async fn hear<R>(read: &mut R, limit: usize) -> Result<connection::AMQPMethod, ReadError>
where
    R: AsyncRead + Unpin,
{
    loop {
        let frame = read_frame(read, limit).await?;
        match frame_kind(frame.kind) {
            Some(FrameKind::Heartbeat) => {}
            Some(FrameKind::Method) if frame.channel == 0 => {
                return match decode_method(&frame.payload)? {
                    AMQPClass::Connection(method) => Ok(method),
                    _ => Err(Fault::command_invalid("expected a connection method").into()),
                };
            }
            _ => return Err(Fault::unexpected_frame("expected a connection method").into()),
        }
    }
}
