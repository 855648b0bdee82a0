use super::Attribute;
use crate::TraceContext;

/// A link of a span to another span, for example to the creation context of a message.
///
/// A span of a batch describes each message by the attributes of its link: the message's id, its partition and offset.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// The linked span. A context without ids makes no link.
    pub trace: TraceContext,
    /// The attributes of the link. External values pass the policy's [`TextGuard`](super::TextGuard).
    pub attributes: Vec<Attribute>,
}

impl Link {
    /// Creates a link without attributes.
    #[must_use]
    pub fn new(trace: TraceContext) -> Self {
        Self { trace, attributes: Vec::new() }
    }

    /// Replaces the attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Vec<Attribute>) -> Self {
        self.attributes = attributes;
        self
    }
}

impl From<TraceContext> for Link {
    fn from(trace: TraceContext) -> Self {
        Self::new(trace)
    }
}

impl From<&TraceContext> for Link {
    fn from(trace: &TraceContext) -> Self {
        Self::new(trace.clone())
    }
}
