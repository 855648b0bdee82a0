use std::sync::Arc;

use http::Extensions;
use propagation_core::HopSpan;

/// The SERVER hop of the layer around a request, in the request's extensions: a second layer inside of it makes no second span.
///
/// Put there only where a span is made. Client layers remove it, so that a request that is forwarded within a process is a new hop.
#[derive(Clone, Debug)]
pub struct ServerHop {
    hop: Arc<HopSpan>,
    rpc: bool,
}

impl ServerHop {
    /// Leaves a hop in the extensions of its request. `rpc` is true for a hop that is described as a remote procedure call.
    pub fn insert(hop: &HopSpan, rpc: bool, extensions: &mut Extensions) {
        if hop.records() {
            extensions.insert(Self { hop: Arc::new(hop.following()), rpc });
        }
    }

    /// Returns the hop of the layer around a request, if it has not ended yet.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<Self>().filter(|found| !found.hop.has_ended())
    }

    /// Removes the hop from a request that is about to leave.
    pub fn remove(extensions: &mut Extensions) {
        extensions.remove::<Self>();
    }

    /// Returns `true` if the hop is described as a remote procedure call already.
    #[must_use]
    pub fn is_rpc(&self) -> bool {
        self.rpc
    }

    /// The hop.
    #[must_use]
    pub fn hop(&self) -> &HopSpan {
        &self.hop
    }
}
