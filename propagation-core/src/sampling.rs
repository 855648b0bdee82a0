//! The sampling decision as formats carry it.

mod decision;

pub use decision::{Priority, Sampling};
