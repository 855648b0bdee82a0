//! What the brokers share: the creation context of a message, and how sending and processing relate to it.
//!
//! A message has one creation context: that of the span that made it. Sending puts it on the message; processing
//! links to it, and is its child unless a span is current already.

mod batch;
mod process;
mod send;

pub use batch::{LINKS_PER_SPAN, batch, creation, receive};
pub use process::{Relation, process, settle};
pub use send::{Existing, Placed, Sending, create, place, send};
