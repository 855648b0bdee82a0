use std::sync::{Arc, atomic::AtomicBool};

use arc_swap::ArcSwap;

use super::{Deliveries, Inner, Propagator, callback::RejectionCallback, host::Host, report::RejectionReporter};
use crate::{
    Bridge, Counters, Direction, FieldNames, Format, Formats, GuardLeaks, NoBridge, Peer, Policy, Rejection,
    semconv::SemanticConventions,
};

/// Builds a [`Propagator`].
#[derive(Debug, Default)]
pub struct PropagatorBuilder {
    extract: Option<Vec<Box<dyn Format>>>,
    inject: Option<Vec<Box<dyn Format>>>,
    policy: Policy,
    bridge: Option<Arc<dyn Bridge>>,
    on_rejection: Option<RejectionCallback>,
    disabled: bool,
    without_spans: bool,
    guard_leaks: GuardLeaks,
    semantic_conventions: SemanticConventions,
    opt_in: Option<String>,
    stack_traces: bool,
}

impl PropagatorBuilder {
    /// Sets the formats to read, in order: the first valid trace wins, baggage merges. Default: W3C's.
    #[must_use]
    pub fn extract_formats(mut self, formats: Vec<Box<dyn Format>>) -> Self {
        self.extract = Some(formats);
        self
    }

    /// Sets the formats to write. Default: W3C's.
    #[must_use]
    pub fn inject_formats(mut self, formats: Vec<Box<dyn Format>>) -> Self {
        self.inject = Some(formats);
        self
    }

    /// Sets the formats to read and write, in order: those of `OTEL_PROPAGATORS`, or a list of your own.
    ///
    /// ```
    /// use propagation_core::{Formats, Propagator};
    ///
    /// let propagator = Propagator::builder().formats(Formats::from_env()?).build();
    /// # let _ = propagator;
    /// # Ok::<(), propagation_core::format::FormatsError>(())
    /// ```
    #[must_use]
    pub fn formats(self, formats: Formats) -> Self {
        self.extract_formats(formats.clone().into_vec()).inject_formats(formats.into_vec())
    }

    /// Sets the initial policy. Default: [`Policy::default`].
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the bridge to the application's tracing API. Default: [`NoBridge`].
    #[must_use]
    pub fn bridge(mut self, bridge: impl Bridge + 'static) -> Self {
        self.bridge = Some(Arc::new(bridge));
        self
    }

    /// Sets whether propagation is on at the start. Default: on.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.disabled = !enabled;
        self
    }

    /// Reads the switches of the environment.
    ///
    /// - `PROPAGATION_DISABLED=true` switches propagation off.
    /// - `OTEL_SDK_DISABLED=true` switches spans off: the context still propagates, and the policy still applies.
    /// - `PROPAGATION_GUARD_LEAKS` is `ignore`, `report` or `panic`: see [`guard_leaks`](Self::guard_leaks).
    /// - `OTEL_SEMCONV_STABILITY_OPT_IN` selects attribute names: see [`SemanticConventions`].
    #[must_use]
    pub fn switches_from_env(self) -> Self {
        self.switches_from(|name| std::env::var(name).ok())
    }

    /// Like [`switches_from_env`](Self::switches_from_env), with a look-up function for the variables.
    #[must_use]
    pub fn switches_from(mut self, look_up: impl Fn(&str) -> Option<String>) -> Self {
        // Only `true`, in any case, switches off (OpenTelemetry's general environment variables, Boolean).
        let is_true = |name| look_up(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        self.disabled |= is_true("PROPAGATION_DISABLED");
        self.without_spans |= is_true("OTEL_SDK_DISABLED");
        if let Some(leaks) = look_up("PROPAGATION_GUARD_LEAKS").and_then(|name| GuardLeaks::named(&name)) {
            self.guard_leaks = leaks;
        }
        self.opt_in = look_up(SemanticConventions::VARIABLE).or(self.opt_in);
        self
    }

    /// Sets whether [`Exception::record_exception`](crate::Exception::record_exception) captures a stack trace (`exception.stacktrace`) if the
    /// exception has none. Off by default: a capture takes tens of microseconds, and the first one resolves symbols.
    #[must_use]
    pub fn with_stack_traces(mut self, capture: bool) -> Self {
        self.stack_traces = capture;
        self
    }

    /// Sets the names of attributes, by default those of the semantic conventions 1.45. `OTEL_SEMCONV_STABILITY_OPT_IN` goes before, if
    /// [`switches_from_env`](Self::switches_from_env) reads it.
    #[must_use]
    pub fn semantic_conventions(mut self, names: SemanticConventions) -> Self {
        self.semantic_conventions = names;
        self
    }

    /// Sets the reaction to guards of the tracing API that outlive their hop. Default: an error event in debug builds, none in others.
    #[must_use]
    pub fn guard_leaks(mut self, leaks: GuardLeaks) -> Self {
        self.guard_leaks = leaks;
        self
    }

    /// Sets a callback for rejected and changed fields and keys, such as an audit log. A later call replaces an earlier one.
    ///
    /// The callback is called once for each rejection, on the thread that extracts or injects, before the call returns: while it blocks, the
    /// request waits. A caller can cause up to [`MAX_REJECTIONS`](crate::format::Extracted::MAX_REJECTIONS) malformed fields and a rejection for
    /// each of 64 baggage members per message, so hand work to a bounded queue. Without rejections, nothing is called, and the callback costs nothing.
    ///
    /// Rejections never hold a value. The `Display` of peers and rejections escapes text that a caller may have chosen.
    ///
    /// A panic in the callback does not fail the request: it is caught, the remaining rejections of the message are skipped, and the first
    /// one is logged. Rejections that the callback itself causes are counted and logged, but not passed to it.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// use propagation_core::{Peer, Propagator, Transport};
    ///
    /// let (sender, audit) = mpsc::sync_channel(1024);
    /// let propagator = Propagator::builder()
    ///     .on_rejection(move |direction, peer, rejection| {
    ///         let _ = sender.try_send(format!("{} {peer} {rejection}", direction.as_str()));
    ///     })
    ///     .build();
    /// let received = vec![("baggage".to_owned(), b"tenant.id=blue".to_vec())];
    /// let _ = propagator.extract(&Peer::kafka("orders"), &received);
    /// assert_eq!(audit.recv()?, "inbound kafka:orders baggage tenant.id: not_allowed (rule default)");
    /// # Ok::<(), mpsc::RecvError>(())
    /// ```
    #[must_use]
    pub fn on_rejection(mut self, callback: impl Fn(Direction, &Peer<'_>, &Rejection) + Send + Sync + 'static) -> Self {
        self.on_rejection = Some(RejectionCallback::new(callback));
        self
    }

    /// Builds the propagator.
    #[must_use]
    pub fn build(self) -> Propagator {
        // A few milliseconds that the first request would pay otherwise.
        crate::scrub::prepare();
        let (mut extract, inject) = (self.extract.unwrap_or_else(w3c), self.inject.unwrap_or_else(w3c));
        let mut fields = FieldNames::new();
        for format in extract.iter().chain(&inject) {
            format.fields(&mut fields);
        }
        retain_first_of_alike(&mut extract);
        let mut extracted = FieldNames::new();
        extract.iter().for_each(|format| format.fields(&mut extracted));
        let filters_names = extracted.iter().len() > MAX_LOOKED_UP || extracted.has_prefixes();
        let inner = Arc::new(Inner {
            extract,
            filters_names,
            inject,
            fields,
            policy: ArcSwap::from_pointee(self.policy),
            bridge: self.bridge.filter(|_| !self.without_spans).unwrap_or_else(|| Arc::new(NoBridge)),
            counters: Arc::new(Counters::default()),
            reporter: RejectionReporter::default(),
            on_rejection: self.on_rejection,
            enabled: AtomicBool::new(!self.disabled),
            deliveries: Deliveries::default(),
            guard_leaks: self.guard_leaks,
            stack_traces: self.stack_traces,
            semantic_conventions: self.semantic_conventions.with_opt_in(self.opt_in.as_deref().unwrap_or_default()),
        });
        let hosts = Host::handles(&inner);
        Propagator(inner, hosts)
    }
}

/// Up to this many names, looking up each is cheaper than one pass over the names of a message.
const MAX_LOOKED_UP: usize = 8;

/// Removes formats that extract like one before them.
fn retain_first_of_alike(formats: &mut Vec<Box<dyn Format>>) {
    let mut alike: Vec<&'static str> = Vec::new();
    formats.retain(|format| match format.extracts_like() {
        Some(name) if alike.contains(&name) => false,
        name => {
            alike.extend(name);
            true
        }
    });
}

fn w3c() -> Vec<Box<dyn Format>> {
    Formats::w3c().into_vec()
}
