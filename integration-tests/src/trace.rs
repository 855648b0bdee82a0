//! Received traces and assertions on them.
//!
//! Spans come from anywhere: the [OTLP receiver](crate::otlp), a file, a backend's API, or made by hand. They are put
//! together in a [`TraceGraph`], which a test makes assertions on:
//!
//! ```
//! use propagation_testkit::trace::{Span, SpanId, SpanKind, TraceGraph, TraceId, service};
//!
//! let trace = TraceId::from_bytes([0xaa; 16]);
//! let mut client = Span::new(trace, SpanId::from_bytes([1; 8]), "GET");
//! client.kind = SpanKind::Client;
//! client.resource = std::sync::Arc::new([("service.name", "shop")].into());
//! let mut server = Span::new(trace, SpanId::from_bytes([2; 8]), "GET /stock");
//! server.kind = SpanKind::Server;
//! server.parent = Some(client.span_id);
//! server.resource = std::sync::Arc::new([("service.name", "stock")].into());
//!
//! TraceGraph::new([server, client])
//!     .assert_continuous()
//!     .assert_services(&["shop", "stock"])
//!     .assert_edge(service("shop").kind(SpanKind::Client), service("stock").kind(SpanKind::Server));
//! ```
//!
//! A failed assertion returns an [`AssertionFailure`] that shows the tree, the missing edge, the
//! nearest candidate, the likely cause and the hop.

mod assertions;
pub(crate) mod causes;
mod clock;
pub mod conventions;
mod failure;
mod graph;
mod id;
mod normal;
#[cfg(feature = "schema")]
pub mod schema;
mod selector;
pub(crate) mod span;
pub(crate) mod tree;
mod value;

pub use assertions::Continuity;
pub use clock::Clocks;
pub use failure::AssertionFailure;
pub use graph::TraceGraph;
pub use id::{InvalidId, SpanId, TraceId};
pub use normal::Normalized;
pub use selector::{SpanSelector, named, of_kind, service};
pub use span::{Event, Link, Span, SpanKind, Status};
pub use value::{Attributes, Value};

#[cfg(test)]
mod tests;
