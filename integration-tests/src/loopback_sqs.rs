//! Amazon SQS inside your test process: a **test double**, not a broker.
//!
//! [`LoopbackSqs`] listens on a free port of 127.0.0.1 and speaks the JSON protocol of Amazon SQS (`AmazonSQS.*` over
//! `application/x-amz-json-1.0`), so that a real AWS SDK, in this process or another one, sends and receives through it
//! by nothing but an `endpoint_url` and made-up credentials. It exists because propagation depends on the requests that SQS
//! *rejects*: a context that is written as an eleventh attribute, with an illegal name or over the size limit fails the
//! user's send. Those limits are the documented ones of the service:
//!
//! - a message has at most 10 attributes; names are 1 to 256 of `A-Z a-z 0-9 _ - .`, with no dot at either end, no two
//!   dots in a row, and no `AWS.` or `Amazon.` in front (in any case); types are `String`, `Number` or `Binary`, with an
//!   optional label after a dot; names, types, values and the body are never empty;
//! - the body and the values of text consist of characters that XML 1.0 allows;
//! - body, attribute names, types and values together are at most 1,048,576 bytes, for one message (or the
//!   queue's `MaximumMessageSize`) and for a whole batch; a batch has 1 to 10 entries with distinct ids;
//! - `AWSTraceHeader` is the one system attribute that a sender may set; it takes no slot and no size, and comes from the
//!   HTTP header `X-Amzn-Trace-Id` where the request does not set it;
//! - a receiver gets the attributes and system attributes that it asks for, and no others;
//! - digests of body, attributes and system attributes are the ones that SDKs verify; each refusal has the service's
//!   error code, and one bad entry of a batch fails alone.
//!
//! # Not supported
//!
//! Nothing is stored on disk, and nothing is checked of signatures, regions or accounts (all is account `000000000000`
//! in `us-east-1`). There are no FIFO queues, tags, permissions, encryption, message-move tasks or retention, no XML
//! query protocol and no TLS. Delivery is kinder than the real one: in order, exactly once within the visibility
//! timeout, at once consistent; queues may be purged and created again without the 60 seconds' wait. The content of
//! `AWSTraceHeader` is not checked. Codes of refusals are the service's, their texts only similar; where the
//! documentation leaves a case open (a type's label without a dot, a value that is both text and binary), it refuses.
//!
//! # Example
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use propagation_testkit::loopback_sqs::LoopbackSqs;
//!
//! // Simulates a lossy network: the trace context is removed before the message is stored.
//! let sqs = LoopbackSqs::builder()
//!     .tap(|message| {
//!         message.attributes.remove("traceparent");
//!     })
//!     .start()
//!     .await?;
//! let queue_url = sqs.create_queue("notifications")?;
//! assert_eq!(queue_url, format!("{}/000000000000/notifications", sqs.endpoint_url()));
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A client of the AWS SDK for Rust needs no TLS to reach it: `aws-sdk-sqs` with the feature `rt-tokio` alone, and
//! `aws-smithy-http-client` with `default-client` alone. `tests/contract/sqs.rs` beside this crate has the ten lines of
//! configuration.

mod attribute;
mod batch;
mod digest;
mod limits;
mod queue;
mod queues;
mod receive;
mod refusal;
mod send;
mod server;
mod settings;
mod settle;
mod state;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::attribute::{Attribute, AttributeValue, Attributes};
use self::state::Shared;

/// The account of all queues, in queue URLs and ARNs.
pub const ACCOUNT: &str = "000000000000";

/// A running endpoint. Dropping it closes the port and completes open receives.
///
/// It lives on the tokio runtime that started it, which must have its I/O and time drivers enabled.
#[derive(Debug)]
pub struct LoopbackSqs {
    addr: SocketAddr,
    shared: Arc<Shared>,
    closing: watch::Sender<bool>,
    server: Option<JoinHandle<io::Result<()>>>,
}

/// Options of a [`LoopbackSqs`], from [`LoopbackSqs::builder`].
#[derive(Default)]
pub struct Builder {
    tap: Option<Arc<Tap>>,
}

/// One message between its sender and the queue, as a tap sees it.
///
/// The attributes to store; a tap may change them. They are not checked against the limits again, so a tap can also make
/// messages that SQS would refuse.
#[derive(Debug)]
#[non_exhaustive]
pub struct InTransit<'a> {
    /// The name of the queue.
    pub queue: &'a str,
    /// The body.
    pub body: &'a mut String,
    /// The message attributes.
    pub attributes: &'a mut Attributes,
    /// The system attribute `AWSTraceHeader`, if the sender has set it.
    pub system_attributes: &'a mut Attributes,
}

type Tap = dyn Fn(&mut InTransit<'_>) + Send + Sync;

impl LoopbackSqs {
    /// Starts an endpoint on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Options before the start.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The address that it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the endpoint URL for AWS clients: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint_url(&self) -> &str {
        self.shared.endpoint_url()
    }

    /// The URL of the queue of that name, whether it exists yet or not.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        self.shared.queue_url(name)
    }

    /// Creates a queue with default attributes and returns its URL, for set-ups that have no client of their own.
    ///
    /// Nothing happens if a queue of that name exists.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] when SQS would refuse the name.
    pub fn create_queue(&self, name: &str) -> io::Result<String> {
        queues::ensure(&self.shared, name)
            .map_err(|refusal| io::Error::new(io::ErrorKind::InvalidInput, refusal.to_string()))
    }

    /// Stops it and waits until the port is closed and every open request has been answered.
    pub async fn stop(mut self) {
        self.closing.send_replace(true);
        if let Some(server) = self.server.take() {
            // An error is the server's panic or its cancelled runtime: stopped, either way.
            let _ = server.await;
        }
    }
}

impl Drop for LoopbackSqs {
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}

impl Builder {
    /// Calls `tap` with each message sent, in batches too, after it was checked and before it is stored.
    ///
    /// Inspects or damages messages in transit. The sender's response has the digests of the original; a
    /// receiver gets the digests of the stored message. A tap that panics breaks the connection of that send, which the SDK
    /// retries.
    #[must_use]
    pub fn tap(mut self, tap: impl Fn(&mut InTransit<'_>) + Send + Sync + 'static) -> Self {
        self.tap = Some(Arc::new(tap));
        self
    }

    /// Starts the endpoint on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start(self) -> io::Result<LoopbackSqs> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (closing, closed) = watch::channel(false);
        let shared = Arc::new(Shared::new(format!("http://{addr}"), self.tap, closed.clone()));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared), closed));
        Ok(LoopbackSqs { addr, shared, closing, server: Some(server) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("tap", &self.tap.is_some()).finish()
    }
}
