use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use opentelemetry::{
    Context,
    trace::{Span as _, TraceContextExt},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use propagation_core::{PropagationContext, Propagator};

use crate::bridge::attribute;

/// Copies baggage of the current hop to each span that starts inside the hop, if a rule of the policy selects the key.
///
/// A rule selects it with [`KeyRule::every_span`](propagation_core::KeyRule::every_span), or with `every_span = true` in a policy file. The span of the
/// hop itself has the attribute by [`KeyRule::span_attribute`](propagation_core::KeyRule::span_attribute) alone. The set-up installs the processor.
///
/// ```
/// use opentelemetry::trace::TracerProvider;
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use propagation_core::Propagator;
/// use propagation_opentelemetry::{BaggageSpanProcessor, OpenTelemetryBridge};
///
/// let baggage = BaggageSpanProcessor::default();
/// let provider = SdkTracerProvider::builder().with_span_processor(baggage.clone()).build();
/// let propagator = Propagator::builder().bridge(OpenTelemetryBridge::new(provider.tracer("shop"))).build();
/// baggage.set_propagator(&propagator);
/// ```
#[derive(Clone, Debug, Default)]
pub struct BaggageSpanProcessor {
    propagator: Arc<RwLock<Option<Propagator>>>,
}

impl BaggageSpanProcessor {
    /// Sets the propagator whose policy decides. Until then, nothing is copied.
    ///
    /// The propagator's bridge has a tracer of the provider, so the two are connected once both exist, until the provider's shutdown.
    pub fn set_propagator(&self, propagator: &Propagator) {
        self.replace(Some(propagator.clone()));
    }

    fn replace(&self, propagator: Option<Propagator>) {
        let before =
            std::mem::replace(&mut *self.propagator.write().unwrap_or_else(PoisonError::into_inner), propagator);
        // Dropped outside of the lock: it may be the last owner of the bridge.
        drop(before);
    }
}

impl SpanProcessor for BaggageSpanProcessor {
    fn on_start(&self, span: &mut Span, parent: &Context) {
        let propagator = self.propagator.read().unwrap_or_else(PoisonError::into_inner);
        let attributes = propagator.as_ref().map(Propagator::attributes_for_every_span).unwrap_or_default();
        drop(propagator);
        if attributes.is_empty() {
            return;
        }
        // A hop that starts inside another one belongs to another trace, unless the other one is its parent.
        let trace = PropagationContext::current().trace.trace_id().map(propagation_core::TraceId::to_bytes);
        if trace == Some(parent.span().span_context().trace_id().to_bytes()) {
            span.set_attributes(attributes.into_iter().map(attribute));
        }
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.replace(None);
        Ok(())
    }
}
