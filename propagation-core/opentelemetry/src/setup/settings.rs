use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    Resource,
    resource::{ResourceDetector, SdkProvidedResourceDetector, TelemetryResourceDetector},
    trace::{BatchConfig, BatchConfigBuilder, IdGenerator, RandomIdGenerator, ShouldSample, SpanLimits},
};

use super::{
    Setup, SetupError,
    otlp::Otlp,
    sampler,
    signal::TRACES,
    variables::{Variables, decode, positive, refused},
};
use propagation_core::{
    Formats,
    semconv::{self, SemanticConventions},
};

const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const QUEUE_SIZE: usize = 2_048;
const BATCH_SIZE: usize = 512;

/// The values of the variables, parsed.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) disabled: bool,
    pub(super) formats: Formats,
    /// `None` where the variables choose none.
    pub(super) sampler: Option<Box<dyn ShouldSample>>,
    pub(super) limits: SpanLimits,
    /// Characters of a text in an attribute.
    pub(super) value_limit: Option<usize>,
    /// The exporter of spans over OTLP.
    pub(super) traces: Option<Otlp>,
    /// Whether spans are written to standard output.
    pub(super) console: bool,
    attributes: Vec<(String, String)>,
    delay: Option<u64>,
    queue: Option<usize>,
    batch: Option<usize>,
}

impl Settings {
    pub(super) fn read(read: &Variables<'_>) -> Result<Self, SetupError> {
        let mut attributes = read.accept(attributes(read))?;
        if let Some(name) = read.get("OTEL_SERVICE_NAME") {
            set(&mut attributes, semconv::SERVICE_NAME, name);
        }
        // Read by the propagator itself; here for the warning.
        read.is_true("PROPAGATION_DISABLED")?;
        read.first_of([SemanticConventions::VARIABLE], opt_in)?;
        let queue = read.number("OTEL_BSP_MAX_QUEUE_SIZE")?;
        let most = queue.unwrap_or(QUEUE_SIZE);
        let batch = read.first_of([BATCH], |name, value| match positive(name, value)? {
            batch if batch > most => Err(refused(name, "is larger than the queue (OTEL_BSP_MAX_QUEUE_SIZE)")),
            batch => Ok(batch),
        })?;
        let exporters = TRACES.exporters(read, true)?;
        Ok(Self {
            disabled: read.is_true("OTEL_SDK_DISABLED")?,
            formats: read.formats()?,
            sampler: sampler::read(read)?,
            limits: limits(read)?,
            value_limit: value_limit(read)?,
            traces: if exporters.otlp { Some(Otlp::read(read, &TRACES)?) } else { None },
            console: exporters.console,
            attributes,
            delay: read.number("OTEL_BSP_SCHEDULE_DELAY")?,
            queue,
            batch,
        })
    }

    /// Returns the resource: variables first, then the values given in code, then those of detectors. The SDK's own detector of variables is left
    /// out: it reads a list that was rejected.
    pub(super) fn resource(&self, setup: &Setup) -> Resource {
        let mut attributes = self.attributes.clone();
        for (key, value) in [
            (semconv::SERVICE_NAME, Some(setup.service.clone())),
            (semconv::SERVICE_VERSION, setup.version.clone()),
            (semconv::SERVICE_INSTANCE_ID, Some(random_uuid())),
            (semconv::DEPLOYMENT_ENVIRONMENT_NAME, setup.environment.clone()),
        ] {
            if let Some(value) = value
                && !attributes.iter().any(|(known, _)| known == key)
            {
                set(&mut attributes, key, value);
            }
        }
        let detectors: [Box<dyn ResourceDetector>; 2] =
            [Box::new(SdkProvidedResourceDetector), Box::new(TelemetryResourceDetector)];
        let detected = setup.detectors.iter().map(|detector| detector.detect());
        let detected = detected.flat_map(|found| {
            found.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect::<Vec<_>>()
        });
        Resource::builder_empty()
            .with_schema_url([], semconv::SCHEMA_URL)
            .with_detectors(&detectors)
            .with_attributes(detected)
            .with_attributes(attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)))
            .build()
    }

    /// How many spans can wait for their export, those of a batch under way included.
    pub(super) fn capacity(&self) -> u64 {
        let waiting = self.queue.unwrap_or(QUEUE_SIZE).saturating_add(self.batch.unwrap_or(BATCH_SIZE));
        u64::try_from(waiting).unwrap_or(u64::MAX)
    }

    /// All values are given, as the SDK's builder takes those that are not from the environment, a queue of size zero included.
    pub(super) fn batches(&self) -> BatchConfig {
        BatchConfigBuilder::default()
            .with_scheduled_delay(Duration::from_millis(self.delay.unwrap_or(5_000)))
            .with_max_queue_size(self.queue.unwrap_or(QUEUE_SIZE))
            .with_max_export_batch_size(self.batch.unwrap_or(BATCH_SIZE))
            .build()
    }
}

/// Parses `key=value,…`, percent-encoded. A list with an error is rejected as a whole, as the specification requires.
fn attributes(read: &Variables<'_>) -> Result<Vec<(String, String)>, SetupError> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let mut attributes = Vec::new();
    let list = read.get(NAME).unwrap_or_default();
    for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(refused(NAME, "has a member without '='"))?;
        let key = decode(key);
        if key.is_empty() {
            return Err(refused(NAME, "has a member without a key"));
        }
        set(&mut attributes, &key, decode(value).into_owned());
    }
    Ok(attributes)
}

fn limits(read: &Variables<'_>) -> Result<SpanLimits, SetupError> {
    let mut limits = SpanLimits::default();
    let general = read.count("OTEL_ATTRIBUTE_COUNT_LIMIT")?;
    if let Some(count) = read.count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")?.or(general) {
        limits.max_attributes_per_span = count;
    }
    if let Some(count) = read.count("OTEL_SPAN_EVENT_COUNT_LIMIT")? {
        limits.max_events_per_span = count;
    }
    if let Some(count) = read.count("OTEL_SPAN_LINK_COUNT_LIMIT")? {
        limits.max_links_per_span = count;
    }
    if let Some(count) = read.count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT")?.or(general) {
        limits.max_attributes_per_event = count;
    }
    if let Some(count) = read.count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT")?.or(general) {
        limits.max_attributes_per_link = count;
    }
    Ok(limits)
}

fn value_limit(read: &Variables<'_>) -> Result<Option<usize>, SetupError> {
    let general = read.count("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")?;
    Ok(read.count("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")?.or(general))
}

/// Checks the values for RPC and messaging. Values for other areas are meant for other libraries.
fn opt_in(name: &'static str, list: &str) -> Result<(), SetupError> {
    let is_known = |value: &str| {
        let (area, suffix) = value.split_once('/').unwrap_or((value, ""));
        !matches!(area, "rpc" | "messaging") || matches!(suffix, "" | "dup" | "old")
    };
    let list = list.to_ascii_lowercase();
    if list.split(',').map(str::trim).all(is_known) {
        Ok(())
    } else {
        Err(refused(name, "has a value of 'rpc' or 'messaging' other than these, with '/dup' or with '/old'"))
    }
}

fn set(attributes: &mut Vec<(String, String)>, key: &str, value: String) {
    attributes.retain(|(known, _)| known != key);
    attributes.push((key.to_owned(), value));
}

/// Returns a random UUID, version 4 (RFC 9562).
fn random_uuid() -> String {
    let random = RandomIdGenerator::default();
    let bits = u128::from_be_bytes(random.new_trace_id().to_bytes());
    let bits = bits & !(0xf << 76) | 4 << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}
