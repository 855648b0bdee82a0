//! Recorded messages and assertions on them.
//!
//! A test records each message where the **receiver** reads it, before anything is extracted: HTTP headers, gRPC
//! metadata, Kafka record headers, AMQP's header table, SQS message attributes. All become a [`WireRecord`], so that one
//! set of claims serves every transport:
//!
//! ```
//! use propagation_testkit::wire::{Wire, WireRecord};
//!
//! let wire = Wire::new();
//! wire.record(
//!     WireRecord::new("orders", "payments", "kafka")
//!         .field("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
//!         .field("baggage", "tenant.id=acme"),
//! );
//! wire.assert_exactly_one(&["traceparent"]).assert_valid_context().assert_baggage_only(&["tenant.id"]);
//! ```
//!
//! The kit reads the fields with a parser of its own, strict and small: a defect of the propagator under test cannot hide
//! in a parser that both share.

mod assertions;
mod context;
mod record;

pub use context::{BaggageMember, TraceParent, baggage_members};
pub use record::{Field, Wire, WireRecord};

#[cfg(test)]
mod tests;
