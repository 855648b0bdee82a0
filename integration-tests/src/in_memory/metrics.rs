use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{Meter, MeterProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        SdkMeterProvider, Temporality,
        data::{AggregatedMetrics, Histogram, MetricData, ResourceMetrics, ScopeMetrics},
        exporter::PushMetricExporter,
    },
};

/// Each time series of a metric, by its attributes; `None` for a metric that doesn't count.
type Exported = BTreeMap<String, Option<BTreeMap<String, u64>>>;

/// A metric exporter that keeps the last values in memory.
///
/// ```
/// use opentelemetry::KeyValue;
/// use propagation_testkit::in_memory::InMemoryMetrics;
///
/// let metrics = InMemoryMetrics::new();
/// let sent = metrics.meter("shop").u64_counter("messaging.client.sent.messages").build();
/// sent.add(3, &[KeyValue::new("messaging.system.name", "kafka"), KeyValue::new("error.type", "timeout")]);
/// let series = metrics.series("messaging.client.sent.messages");
/// assert_eq!(series, [("error.type=timeout messaging.system.name=kafka".to_owned(), 3)].into());
/// ```
#[derive(Clone, Debug)]
pub struct InMemoryMetrics {
    provider: SdkMeterProvider,
    exported: Arc<Mutex<Exported>>,
}

impl Default for InMemoryMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl InMemoryMetrics {
    /// With nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        let exported = Arc::default();
        let exporter = Exporter(Arc::clone(&exported));
        Self { provider: SdkMeterProvider::builder().with_periodic_exporter(exporter).build(), exported }
    }

    /// A meter of this name.
    #[must_use]
    pub fn meter(&self, name: &'static str) -> Meter {
        self.provider.meter(name)
    }

    /// How often each time series of a metric was measured, for a histogram, or its total, for a counter. The key is the
    /// series' attributes in order, `key=value` with spaces between. Empty for a metric of which nothing was heard.
    ///
    /// # Panics
    /// For a metric that is neither a histogram nor a counter of whole numbers, and where the SDK can't collect.
    #[must_use]
    #[track_caller]
    pub fn series(&self, metric: &str) -> BTreeMap<String, u64> {
        if let Err(error) = self.provider.force_flush() {
            panic!("the metrics can't be collected: {error}");
        }
        match self.exported.lock().unwrap_or_else(PoisonError::into_inner).get(metric) {
            Some(Some(series)) => series.clone(),
            Some(None) => panic!("{metric} is neither a histogram nor a counter of whole numbers"),
            None => BTreeMap::new(),
        }
    }
}

struct Exporter(Arc<Mutex<Exported>>);

impl PushMetricExporter for Exporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let all = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
        let exported = all.map(|metric| (metric.name().to_owned(), series(metric.data()))).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = exported;
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn series(data: &AggregatedMetrics) -> Option<BTreeMap<String, u64>> {
    match data {
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => Some(measured(histogram)),
        AggregatedMetrics::U64(MetricData::Histogram(histogram)) => Some(measured(histogram)),
        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
            Some(sum.data_points().map(|point| (in_order(point.attributes()), point.value())).collect())
        }
        _ => None,
    }
}

fn measured<T: fmt::Debug>(histogram: &Histogram<T>) -> BTreeMap<String, u64> {
    histogram.data_points().map(|point| (in_order(point.attributes()), point.count())).collect()
}

fn in_order<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut pairs: Vec<_> = attributes.map(|each| format!("{}={}", each.key, each.value)).collect();
    pairs.sort();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_reports_its_count_and_silent_metric_nothing() {
        let metrics = InMemoryMetrics::new();
        let duration = metrics.meter("shop").f64_histogram("duration").build();
        for (seconds, status) in [(0.5, 200), (1.5, 200), (2.5, 503)] {
            duration.record(seconds, &[KeyValue::new("status", status), KeyValue::new("method", "GET")]);
        }
        let expected = [("method=GET status=200".to_owned(), 2), ("method=GET status=503".to_owned(), 1)];
        assert_eq!(metrics.series("duration"), expected.into());
        duration.record(0.5, &[]);
        assert_eq!(metrics.series("duration").len(), 3, "and what came since");
        assert!(metrics.series("another").is_empty());
    }

    #[test]
    #[should_panic(expected = "open is neither a histogram nor a counter of whole numbers")]
    fn uncounted_metric_is_rejected() {
        let metrics = InMemoryMetrics::new();
        metrics.meter("shop").f64_gauge("open").build().record(0.5, &[]);
        let _ = metrics.series("open");
    }
}
