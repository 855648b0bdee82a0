use std::sync::{Arc, atomic::AtomicBool};

use arc_swap::ArcSwap;

use super::{Inner, Propagator};
use crate::{BaggageFormat, Bridge, Counters, Fields, Format, NoBridge, Policy, TraceContextFormat, notice::Notices};

/// Puts a [`Propagator`] together.
#[derive(Debug, Default)]
pub struct PropagatorBuilder {
    extract: Option<Vec<Box<dyn Format>>>,
    inject: Option<Vec<Box<dyn Format>>>,
    policy: Policy,
    bridge: Option<Arc<dyn Bridge>>,
    disabled: bool,
}

impl PropagatorBuilder {
    /// The formats to read, in order: the first valid trace wins, baggage merges. Without it, W3C's.
    #[must_use]
    pub fn extract_formats(mut self, formats: Vec<Box<dyn Format>>) -> Self {
        self.extract = Some(formats);
        self
    }

    /// The formats to write. Without it, W3C's.
    #[must_use]
    pub fn inject_formats(mut self, formats: Vec<Box<dyn Format>>) -> Self {
        self.inject = Some(formats);
        self
    }

    /// The policy to start with. Without it, [`Policy::default`].
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The bridge to the application's tracing API. Without it, [`NoBridge`].
    #[must_use]
    pub fn bridge(mut self, bridge: impl Bridge + 'static) -> Self {
        self.bridge = Some(Arc::new(bridge));
        self
    }

    /// Whether propagation is on at the start.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.disabled = !enabled;
        self
    }

    /// The propagator.
    #[must_use]
    pub fn build(self) -> Propagator {
        let (extract, inject) = (self.extract.unwrap_or_else(w3c), self.inject.unwrap_or_else(w3c));
        let mut owned = Fields::new();
        for format in extract.iter().chain(&inject) {
            format.own(&mut owned);
        }
        Propagator(Arc::new(Inner {
            extract,
            inject,
            owned,
            policy: ArcSwap::from_pointee(self.policy),
            bridge: self.bridge.unwrap_or_else(|| Arc::new(NoBridge)),
            counters: Arc::new(Counters::default()),
            notices: Notices::default(),
            enabled: AtomicBool::new(!self.disabled),
        }))
    }
}

fn w3c() -> Vec<Box<dyn Format>> {
    vec![Box::new(TraceContextFormat), Box::new(BaggageFormat)]
}
