use std::sync::Arc;

use opentelemetry::{KeyValue, metrics::Meter};

use propagation_core::Propagator;

/// Exports a propagator's [counters](Propagator::counters) through a meter.
///
/// One observable counter, `propagation.rejections` (unit `{rejection}`), counts fields that were rejected, changed, truncated or restarted,
/// with the attributes `propagation.direction` (`inbound`, `outbound`) and `propagation.reason` (the names of
/// [`RejectReason`](propagation_core::RejectReason)); a reason without rejections is omitted. No keys, no peers, no values: at most
/// two time series for each reason. These names are ours; the semantic conventions have none for it.
///
/// A second one, `propagation.spans.not_exported` (unit `{span}`), counts the spans that the exporter of a set-up lost.
///
/// Call it once per propagator; clones share their counters. Several propagators need meters with different names, because a meter exports
/// a counter only once.
///
/// ```
/// use opentelemetry::metrics::MeterProvider;
/// use propagation_core::Propagator;
/// use propagation_opentelemetry::metrics::observe_counters;
///
/// let provider = opentelemetry_sdk::metrics::SdkMeterProvider::builder().build();
/// let propagator = Propagator::default();
/// observe_counters(&provider.meter("shop"), &propagator);
/// ```
pub fn observe_counters(meter: &Meter, propagator: &Propagator) {
    // Not the propagator: its bridge may hold instruments of this very meter.
    let counters = Arc::clone(propagator.counters());
    let not_exported = Arc::clone(&counters);
    let _registered = meter
        .u64_observable_counter("propagation.rejections")
        .with_unit("{rejection}")
        .with_description(
            "Fields and keys that were rejected, changed, truncated or restarted, by direction and reason.",
        )
        .with_callback(move |observer| {
            for (direction, reason, count) in counters.iter() {
                observer.observe(
                    count,
                    &[
                        KeyValue::new("propagation.direction", direction.as_str()),
                        KeyValue::new("propagation.reason", reason.as_str()),
                    ],
                );
            }
        })
        .build();
    let _registered = meter
        .u64_observable_counter("propagation.spans.not_exported")
        .with_unit("{span}")
        .with_description("Sampled spans that ended and could not be exported.")
        .with_callback(move |observer| {
            let spans = not_exported.spans_not_exported();
            if spans > 0 {
                observer.observe(spans, &[]);
            }
        })
        .build();
}
