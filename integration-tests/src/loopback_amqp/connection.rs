//! One client's connection: how it begins, how it is kept up, how it ends.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amq_protocol::protocol::{AMQPClass, connection};
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
    broker::Broker,
    handshake::{Negotiated, negotiate},
    message::Tap,
    queue::ConnectionId,
    reader::{End, Reader},
    wire::{ReadError, decode_method, heartbeat_frame, method_frame, read_frame},
};

/// How long a client may take to introduce itself, as in RabbitMQ.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to agree that the connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How many octets of frames are gathered into one write.
const WRITE_BATCH: usize = 65_536;

/// The state shared by all connections.
pub(super) struct Shared {
    pub(super) broker: Mutex<Broker>,
    pub(super) taps: Vec<Tap>,
    pub(super) frame_max: u32,
    pub(super) heartbeat: u16,
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
    let mut reader = Reader::new(shared, id, outbox, limits);

    let mut writer = std::pin::pin!(write_all(write, frames, limits.heartbeat));
    let end = tokio::select! {
        end = reader.read_all(&mut read) => end,
        // The client takes nothing any more.
        _ = &mut writer => return,
    };
    let rest = match end {
        End::Gone => return,
        End::ClosedByClient => {
            let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
            reader.post(0, AMQPClass::Connection(ok));
            None
        }
        End::Fault(fault, rest) => {
            reader.post(0, fault.to_close());
            Some(rest)
        }
    };
    // With the last sender gone, the writer ends once everything is written; the socket stays open until then.
    drop(registration);
    drop(reader);
    let written = timeout(CLOSE_TIMEOUT, writer).await;
    if let Some(rest) = rest {
        linger(&mut read, rest).await;
    }
    drop(written);
}

/// Writes frames until all senders are dropped, with heartbeats in between.
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
        // Skips the rest of a rejected frame, and its end marker.
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
