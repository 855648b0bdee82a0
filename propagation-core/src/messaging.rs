//! What the brokers share: the creation context of a message, and how sending and processing relate to it.
//!
//! A message has one creation context: that of the span that made it. Sending puts it on the message; processing
//! links to it and continues its trace, unless a hop of the whole batch is current.

mod batch;
mod memory;
mod process;
mod send;

pub(crate) use memory::Deliveries;

pub use batch::{Creation, LINKS_PER_SPAN, batch, creation, receive};
pub use memory::DeliveryKey;
pub use process::{ParentMode, Processing, process, recall, remember, settle};
pub(crate) use send::sampled_as;
pub use send::{ExistingContext, Placed, Sending, create, place, send};
