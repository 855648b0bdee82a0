//! Received metrics and log records.

use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
    metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};

use super::convert::{attributes, value};
use crate::trace::{Attributes, SpanId, TraceId, Value};

/// A metric of one export.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedMetric {
    /// The attributes of the resource.
    pub resource: Attributes,
    /// The scope of the meter.
    pub scope: ReceivedScope,
    /// The metric's name.
    pub name: String,
    /// The metric's unit.
    pub unit: String,
    /// The time series: attributes, and the value of a sum or gauge or the count of a histogram.
    pub series: Vec<(Attributes, f64)>,
}

/// A log record of one export.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedLog {
    /// The attributes of the resource.
    pub resource: Attributes,
    /// The scope of the logger.
    pub scope: ReceivedScope,
    /// The event's name; empty if the record is not an event.
    pub event_name: String,
    /// The name of the severity, such as `ERROR`.
    pub severity: String,
    /// The body.
    pub body: Value,
    /// The attributes.
    pub attributes: Attributes,
    /// The trace-id, if the record belongs to a trace.
    pub trace_id: Option<TraceId>,
    /// The span-id, if the record belongs to a span.
    pub span_id: Option<SpanId>,
}

/// An instrumentation scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedScope {
    /// The scope's name.
    pub name: String,
    /// The scope's version; may be empty.
    pub version: String,
    /// The schema URL; may be empty.
    pub schema_url: String,
}

fn scope(from: Option<InstrumentationScope>, schema_url: String) -> ReceivedScope {
    let from = from.unwrap_or_default();
    ReceivedScope { name: from.name, version: from.version, schema_url }
}

pub(super) fn metrics(request: ExportMetricsServiceRequest) -> (Vec<ReceivedMetric>, ExportMetricsServiceResponse) {
    let mut metrics = Vec::new();
    for of_resource in request.resource_metrics {
        let resource = attributes(of_resource.resource.map(|resource| resource.attributes).unwrap_or_default());
        for of_scope in of_resource.scope_metrics {
            let scope = scope(of_scope.scope, of_scope.schema_url);
            metrics.extend(of_scope.metrics.into_iter().map(|metric| ReceivedMetric {
                resource: resource.clone(),
                scope: scope.clone(),
                name: metric.name,
                unit: metric.unit,
                series: metric.data.map(series).unwrap_or_default(),
            }));
        }
    }
    (metrics, ExportMetricsServiceResponse::default())
}

fn series(data: Data) -> Vec<(Attributes, f64)> {
    #[allow(clippy::cast_precision_loss)] // Counts of tests are small.
    let number = |value: Option<number_data_point::Value>| match value {
        Some(number_data_point::Value::AsDouble(number)) => number,
        Some(number_data_point::Value::AsInt(number)) => number as f64,
        None => 0.0,
    };
    #[allow(clippy::cast_precision_loss)]
    let count = |count: u64| count as f64;
    match data {
        Data::Gauge(gauge) => {
            gauge.data_points.into_iter().map(|point| (attributes(point.attributes), number(point.value))).collect()
        }
        Data::Sum(sum) => {
            sum.data_points.into_iter().map(|point| (attributes(point.attributes), number(point.value))).collect()
        }
        Data::Histogram(histogram) => {
            histogram.data_points.into_iter().map(|point| (attributes(point.attributes), count(point.count))).collect()
        }
        Data::ExponentialHistogram(histogram) => {
            histogram.data_points.into_iter().map(|point| (attributes(point.attributes), count(point.count))).collect()
        }
        Data::Summary(summary) => {
            summary.data_points.into_iter().map(|point| (attributes(point.attributes), count(point.count))).collect()
        }
    }
}

pub(super) fn logs(request: ExportLogsServiceRequest) -> (Vec<ReceivedLog>, ExportLogsServiceResponse) {
    let mut logs = Vec::new();
    for of_resource in request.resource_logs {
        let resource = attributes(of_resource.resource.map(|resource| resource.attributes).unwrap_or_default());
        for of_scope in of_resource.scope_logs {
            let scope = scope(of_scope.scope, of_scope.schema_url);
            logs.extend(of_scope.log_records.into_iter().map(|record| ReceivedLog {
                resource: resource.clone(),
                scope: scope.clone(),
                event_name: record.event_name,
                severity: record.severity_text,
                body: value(record.body, 0),
                attributes: attributes(record.attributes),
                trace_id: TraceId::from_slice(&record.trace_id),
                span_id: SpanId::from_slice(&record.span_id),
            }));
        }
    }
    (logs, ExportLogsServiceResponse::default())
}
