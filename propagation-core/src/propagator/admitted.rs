//! Describes the hop that continues an admitted context.

use crate::{Admission, Hop, SpanKind};

impl Hop {
    /// Returns a hop for an admitted context, with the links of the admission and the attributes that the policy copies from baggage.
    #[must_use]
    pub fn admitted(kind: SpanKind, admission: Admission) -> Self {
        let Admission { context, links, attributes, .. } = admission;
        let mut hop = Self::remote(kind, context);
        if !links.is_empty() {
            hop = hop.linked(links);
        }
        hop.attributes = attributes;
        hop
    }
}
