//! Sending, receiving, processing and settling messages, for the adapters of all brokers.
//!
//! A message has one creation context: the context of the span that created it. [`send`] writes it to the message. [`process`]
//! links to it and continues its trace, unless a hop of the whole batch is current.

mod batch;
mod destinations;
mod process;
mod send;

pub use batch::{LINKS_PER_SPAN, batch, creation_context, receive};
pub use destinations::Destinations;
pub use process::{ParentMode, Processing, age, process, recall, remember, settle};
pub use send::{ExistingContext, PreparedMessage, place, send};

pub use crate::propagator::{CreationContext, DeliveryKey};
