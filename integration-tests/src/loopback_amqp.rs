//! A test double for RabbitMQ, in this process, for clients in any process of this machine.
//!
//! [`LoopbackAmqp`] listens on a port of the loopback interface and speaks enough AMQP 0-9-1, in RabbitMQ's dialect,
//! for a real client such as lapin to publish, consume and fail as it would with a broker. It is a **test double, not
//! a broker**: its judge is the contract suite in `integration-tests/tests/contract/amqp.rs`, which runs against the
//! double and against a real RabbitMQ alike.
//!
//! ```no_run
//! use propagation_testkit::loopback_amqp::LoopbackAmqp;
//!
//! # async fn example() -> std::io::Result<()> {
//! let broker = LoopbackAmqp::builder()
//!     // Simulates a broken link: the trace is lost in transit.
//!     .tap(|message| {
//!         message.remove_header("traceparent");
//!     })
//!     .start()
//!     .await?;
//! println!("connect to {}", broker.uri());
//! # Ok(())
//! # }
//! ```
//!
//! # Supported
//!
//! - Connections and channels, any number of them: login as `guest` by PLAIN, the virtual host `/`, negotiated frame
//!   limit and heartbeat, closing from either side with RabbitMQ's codes and words.
//! - Direct, fanout and topic exchanges, the default exchange, bindings of queues and of exchanges; durable (in name
//!   only), exclusive, auto-delete, passive and server-named queues; purge and delete.
//! - Publishing with `mandatory` and with confirms; consuming with acknowledgements, prefetch (each consumer's and the
//!   channel's), round robin, cancelling from either side; `basic.get`; ack, nack, reject and recover, with messages
//!   going back to where they were, marked as redelivered.
//! - Time to live of a queue and of a message; dead letters of both, and of rejected messages, with the headers that
//!   RabbitMQ adds.
//! - Properties go from publisher to consumer octet for octet, whatever the types in the header table, the order of
//!   its entries and duplicates among them.
//! - The failures that matter to a propagator: a frame above the limit, content header included, closes the connection
//!   with 501; an unknown exchange, queue or delivery tag closes the channel with 404 or 406.
//!
//! # Not supported
//!
//! - Keep anything: no disk, and a queue lives no longer than the double. Persistence and durability are only names.
//! - TLS, other users, virtual hosts, permissions or mechanisms than PLAIN; policies; management.
//! - Transactions, headers exchanges (both are refused with 540), alternate exchanges, `CC` and `BCC` headers, direct
//!   reply-to, quorum queues and streams, priorities, length limits, `x-expires`; arguments it does not know are
//!   accepted and ignored, and do not make two declarations differ.
//! - Flow control: a consumer without prefetch that reads slowly piles up memory here. Closing a client that sends no
//!   heartbeats. Limits on memory other than those on a frame and on a body (128 MiB).
//! - Carry tables nested deeper than 64, or header names that are not UTF-8; both close the connection with 541.
//! - Be fast. All connections share one lock, so that the order of events is easy to be sure of.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use tokio::{
    net::TcpListener,
    sync::{
        mpsc::{UnboundedReceiver, unbounded_channel},
        watch,
    },
    task::{JoinHandle, JoinSet},
    time::Instant,
};

pub use amq_protocol::{protocol::BasicProperties, types};
pub use message::Published;

use broker::Broker;
use connection::Shared;
use handshake::FRAME_MIN;
use message::Tap;

mod basic;
mod broker;
mod connection;
mod dead_letter;
mod declare;
mod fault;
mod handshake;
mod message;
mod queue;
mod reader;
mod routing;
mod wire;

/// The frame limit and the heartbeat (in seconds) that RabbitMQ offers by default.
const FRAME_MAX: u32 = 131_072;
const HEARTBEAT: u16 = 60;

/// A running double. Dropping it stops it: the port is closed, and so is every connection, without a goodbye.
///
/// It runs on the tokio runtime on which it was started.
pub struct LoopbackAmqp {
    addr: SocketAddr,
    shared: Arc<Shared>,
    cut: watch::Sender<u64>,
    server: JoinHandle<()>,
}

/// How a [`LoopbackAmqp`] is to be: see [`LoopbackAmqp::builder`].
#[derive(Clone)]
pub struct Builder {
    addr: SocketAddr,
    frame_max: u32,
    heartbeat: u16,
    taps: Vec<Tap>,
}

impl LoopbackAmqp {
    /// Starts a double with RabbitMQ's defaults on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Begins to set up a double: RabbitMQ's defaults, no taps, a free port.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            frame_max: FRAME_MAX,
            heartbeat: HEARTBEAT,
            taps: Vec::new(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the URI for clients, for example `amqp://guest:guest@127.0.0.1:40123/%2f`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.addr)
    }

    /// How many messages wait in a queue, those delivered and not yet acknowledged left out; `None` without such a
    /// queue.
    #[must_use]
    pub fn depth(&self, queue: &str) -> Option<usize> {
        let broker = self.shared.broker();
        broker.queues.get(queue).map(|queue| queue.entries.len())
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.broker().sessions.len()
    }

    /// Cuts every connection without a goodbye, as a lost network or a killed broker does. Queues stay, except
    /// exclusive ones; clients may connect again at once.
    pub fn cut_connections(&self) {
        self.cut.send_modify(|times| *times += 1);
    }

    /// Stops it and returns when the port is free again.
    pub async fn stop(mut self) {
        self.server.abort();
        // Always a cancellation: the server ends by nothing else.
        let _ = (&mut self.server).await;
    }
}

impl Drop for LoopbackAmqp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for LoopbackAmqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackAmqp").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Builder {
    /// Listens here instead of on a free port: for a double that comes back at the same place after a stop.
    #[must_use]
    pub fn addr(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// Sets the maximum frame size in octets; at least 4,096.
    ///
    /// A client may agree on less. lapin does not go below 8,192: offered less, it asks for more than it may have, and
    /// its connection ends without a word, as with RabbitMQ.
    #[must_use]
    pub fn frame_max(mut self, octets: u32) -> Self {
        self.frame_max = octets.max(FRAME_MIN);
        self
    }

    /// The heartbeat, in seconds, that is offered to clients; 0 for none.
    #[must_use]
    pub fn heartbeat(mut self, seconds: u16) -> Self {
        self.heartbeat = seconds;
        self
    }

    /// Lets a closure see, and change, each published message before it is routed. Several run in the order in which
    /// they were added.
    ///
    /// It runs once a message, also when that goes to no queue or to many, and not again for dead letters. It runs on
    /// the connection's task, so it must not block for long; messages of one channel come in order. If it panics, the
    /// publisher's connection is cut.
    #[must_use]
    pub fn tap(mut self, tap: impl Fn(&mut Published) + Send + Sync + 'static) -> Self {
        self.taps.push(Arc::new(tap));
        self
    }

    /// Starts the double.
    ///
    /// # Errors
    ///
    /// When the port cannot be bound, or with [`InvalidInput`](io::ErrorKind::InvalidInput) when the address is not on
    /// the loopback interface: a double with a password that everybody knows is nothing to offer to a network.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn start(self) -> io::Result<LoopbackAmqp> {
        if !self.addr.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a loopback address"));
        }
        let listener = TcpListener::bind(self.addr).await?;
        let addr = listener.local_addr()?;
        let (timer, alarms) = unbounded_channel();
        let shared = Arc::new(Shared {
            broker: Broker::new(timer).into(),
            taps: self.taps,
            frame_max: self.frame_max,
            heartbeat: self.heartbeat,
        });
        let (cut, is_cut) = watch::channel(0);
        let server = tokio::spawn(serve(listener, Arc::clone(&shared), is_cut, alarms));
        Ok(LoopbackAmqp { addr, shared, cut, server })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("addr", &self.addr)
            .field("frame_max", &self.frame_max)
            .field("heartbeat", &self.heartbeat)
            .field("taps", &self.taps.len())
            .finish()
    }
}

/// Accepts connections and wakes queues in which a message expires. All tasks end with this one.
async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    is_cut: watch::Receiver<u64>,
    mut alarms: UnboundedReceiver<(Instant, String)>,
) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that failed while it was accepted is the client's trouble.
                if let Ok((stream, _)) = accepted {
                    let mut is_cut = is_cut.clone();
                    is_cut.mark_unchanged();
                    tasks.spawn(connection::serve(stream, Arc::clone(&shared), is_cut));
                }
            }
            Some((at, queue)) = alarms.recv() => {
                let shared = Arc::clone(&shared);
                tasks.spawn(async move {
                    tokio::time::sleep_until(at).await;
                    let mut broker = shared.broker();
                    broker.touch(&queue);
                    broker.serve_all();
                });
            }
            // Forget tasks that are done; a panic among them has been reported by the panic hook.
            Some(_) = tasks.join_next() => {}
        }
    }
}
