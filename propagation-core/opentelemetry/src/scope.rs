use opentelemetry::InstrumentationScope;
use propagation_core::semconv::SemanticConventions;

/// Returns the instrumentation scope of these crates, for the tracer of a bridge and the meter of `HopMetrics`: with the name
/// `propagation`, the version of this crate, and the schema URL that fits the attribute names.
///
/// There is no schema URL where names of two versions of the semantic conventions are recorded.
///
/// ```
/// use opentelemetry::trace::TracerProvider;
/// use propagation_core::{Propagator, semconv::SemanticConventions};
/// use propagation_opentelemetry::{OpenTelemetryBridge, instrumentation_scope};
///
/// let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
/// let tracer = provider.tracer_with_scope(instrumentation_scope(SemanticConventions::default()));
/// let propagator = Propagator::builder().bridge(OpenTelemetryBridge::new(tracer)).build();
/// # let _ = propagator;
/// ```
#[must_use]
pub fn instrumentation_scope(names: SemanticConventions) -> InstrumentationScope {
    let scope = InstrumentationScope::builder("propagation").with_version(env!("CARGO_PKG_VERSION"));
    match names.schema_url() {
        Some(url) => scope.with_schema_url(url).build(),
        None => scope.build(),
    }
}
