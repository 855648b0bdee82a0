use http::Extensions;
use propagation_core::HopSpan;

/// The SERVER hop of an outer layer, in the extensions of its request. An inner layer refines it instead of starting a second span.
///
/// Inserted only if the hop records. Client layers remove it, so that a forwarded request is a new hop.
#[derive(Debug)]
pub struct ServerHop {
    hop: HopSpan,
    rpc: bool,
}

/// Extensions are cloned with their request. No clone ends the hop.
impl Clone for ServerHop {
    fn clone(&self) -> Self {
        Self { hop: self.hop.following(), rpc: self.rpc }
    }
}

impl ServerHop {
    /// Inserts a hop into the extensions of its request. `rpc` is true for a hop that is described as a remote procedure call.
    pub fn insert(hop: &HopSpan, rpc: bool, extensions: &mut Extensions) {
        if hop.is_recording() {
            extensions.insert(Self { hop: hop.following(), rpc });
        }
    }

    /// Returns the hop of an outer layer, if it has not ended.
    #[must_use]
    pub fn get(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<Self>().filter(|found| !found.hop.has_ended())
    }

    /// Removes the hop from an outgoing request.
    pub fn remove(extensions: &mut Extensions) {
        extensions.remove::<Self>();
    }

    /// Returns `true` if the hop is already described as a remote procedure call.
    #[must_use]
    pub fn is_rpc(&self) -> bool {
        self.rpc
    }

    /// Returns the hop.
    #[must_use]
    pub fn hop(&self) -> &HopSpan {
        &self.hop
    }
}
