use std::sync::{Arc, atomic::AtomicBool};

use arc_swap::ArcSwap;

use super::{Deliveries, Inner, Propagator, report::RejectionReporter};
use crate::{Bridge, Counters, Format, Formats, GuardLeaks, NoBridge, OutgoingFields, Policy};

/// Puts a [`Propagator`] together.
#[derive(Debug, Default)]
pub struct PropagatorBuilder {
    extract: Option<Vec<Box<dyn Format>>>,
    inject: Option<Vec<Box<dyn Format>>>,
    policy: Policy,
    bridge: Option<Arc<dyn Bridge>>,
    disabled: bool,
    without_spans: bool,
    guard_leaks: GuardLeaks,
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

    /// The formats to read and write, in order: those of `OTEL_PROPAGATORS`, or a list of yours.
    ///
    /// ```
    /// use propagation_core::{Formats, Propagator};
    ///
    /// let propagator = Propagator::builder().formats(Formats::from_env()?).build();
    /// # let _ = propagator;
    /// # Ok::<(), propagation_core::FormatsError>(())
    /// ```
    #[must_use]
    pub fn formats(self, formats: Formats) -> Self {
        self.extract_formats(formats.clone().into_vec()).inject_formats(formats.into_vec())
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

    /// Honours the off switches of the environment: `PROPAGATION_DISABLED=true` switches propagation off, and
    /// `OTEL_SDK_DISABLED=true` the spans, while the context still propagates and the policy still holds. And
    /// `PROPAGATION_GUARD_LEAKS` (`ignore`, `report` or `panic`): see [`guard_leaks`](Self::guard_leaks).
    #[must_use]
    pub fn switches_from_env(self) -> Self {
        self.switches_from(|name| std::env::var(name).ok())
    }

    /// The same, with a look-up function for the variables.
    #[must_use]
    pub fn switches_from(mut self, look_up: impl Fn(&str) -> Option<String>) -> Self {
        // Only `true`, in any case, switches off (OpenTelemetry's general environment variables, Boolean).
        let is_true = |name| look_up(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        self.disabled |= is_true("PROPAGATION_DISABLED");
        self.without_spans |= is_true("OTEL_SDK_DISABLED");
        if let Some(leaks) = look_up("PROPAGATION_GUARD_LEAKS").and_then(|name| GuardLeaks::named(&name)) {
            self.guard_leaks = leaks;
        }
        self
    }

    /// The reaction to guards of the tracing API that outlive their hop: by default an error event in debug builds, and none in others.
    #[must_use]
    pub fn guard_leaks(mut self, leaks: GuardLeaks) -> Self {
        self.guard_leaks = leaks;
        self
    }

    /// The propagator.
    #[must_use]
    pub fn build(self) -> Propagator {
        // A few milliseconds that the first request would pay otherwise.
        crate::scrub::prepare();
        let (extract, inject) = (self.extract.unwrap_or_else(w3c), self.inject.unwrap_or_else(w3c));
        let mut owned = OutgoingFields::new();
        for format in extract.iter().chain(&inject) {
            format.fields(&mut owned);
        }
        Propagator(Arc::new(Inner {
            extract,
            inject,
            owned,
            policy: ArcSwap::from_pointee(self.policy),
            bridge: self.bridge.filter(|_| !self.without_spans).unwrap_or_else(|| Arc::new(NoBridge)),
            counters: Arc::new(Counters::default()),
            reporter: RejectionReporter::default(),
            enabled: AtomicBool::new(!self.disabled),
            deliveries: Deliveries::default(),
            guard_leaks: self.guard_leaks,
        }))
    }
}

fn w3c() -> Vec<Box<dyn Format>> {
    Formats::w3c().into_vec()
}
