//! The sampling decision as formats carry it.

mod decision;

pub use decision::{SamplingDecision, SamplingPriority};
