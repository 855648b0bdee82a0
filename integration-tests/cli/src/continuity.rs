//! `propagation continuity`: checks a trace that is in a backend or a file.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;

use super::{Exit, print, report};
use propagation_testkit::backend::jaeger::Jaeger;
use propagation_testkit::backend::tempo::Tempo;
use propagation_testkit::backend::zipkin::Zipkin;
use propagation_testkit::backend::{BackendError, Endpoint, otlp_json};
use propagation_testkit::html::Page;
use propagation_testkit::trace::conventions::Version;
use propagation_testkit::trace::schema::Schema;
use propagation_testkit::trace::{AssertionFailure, InvalidId, Span, TraceGraph, TraceId};

/// The trace, the checks and the output.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The trace: 32 hexadecimal digits, or a whole traceparent. Optional with a file: then each trace in it
    #[arg(value_parser = trace_id, required_unless_present = "otlp_json")]
    trace_id: Option<TraceId>,
    #[command(flatten)]
    source: Source,
    /// A header for each request to the backend; may be repeated: --header "authorization: Bearer …"
    #[arg(long = "header", value_name = "NAME: VALUE", conflicts_with = "otlp_json")]
    headers: Vec<Header>,
    /// Certificate authorities (PEM) to trust for https:// besides those of the machine
    #[arg(long, value_name = "FILE", conflicts_with = "otlp_json")]
    ca_certificate: Option<PathBuf>,
    /// Write the waterfall to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Services that must have a span, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    services: Vec<String>,
    /// Check each span against the semantic conventions
    #[arg(long)]
    conventions: bool,
    /// Check each span for the attributes that the semantic conventions recommend
    #[arg(long)]
    recommended: bool,
    /// Recommended attributes that may be missing, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "KEYS", requires = "recommended")]
    except: Vec<String>,
    /// Check all spans together against a schema (TOML): required keys, forbidden synonyms, bounded values
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Repeat the request for so many seconds while the trace is not whole: spans arrive one after the other
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    wait: u64,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Address of a Zipkin: http://127.0.0.1:9411
    #[arg(long, value_name = "URL")]
    zipkin: Option<String>,
    /// Address of a Jaeger's query service: http://127.0.0.1:16686
    #[arg(long, value_name = "URL")]
    jaeger: Option<String>,
    /// Address of a Tempo: http://127.0.0.1:3200
    #[arg(long, value_name = "URL")]
    tempo: Option<String>,
    /// A file of spans in OTLP's JSON form, as a Collector's file exporter writes it
    #[arg(long, value_name = "FILE")]
    otlp_json: Option<PathBuf>,
}

/// A header of a request. The value is not shown.
#[derive(Clone)]
struct Header {
    name: String,
    value: String,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
        Ok(Self { name: name.trim().to_owned(), value: value.trim().to_owned() })
    }
}

/// A backend, with the headers and certificates for its requests.
enum Backend {
    Zipkin(Zipkin),
    Jaeger(Jaeger),
    Tempo(Tempo),
    File(PathBuf),
}

impl Backend {
    fn new(arguments: &Arguments) -> Result<Self, BackendError> {
        let endpoint = |address: &str| {
            let mut endpoint = Endpoint::new(address)?;
            for header in &arguments.headers {
                endpoint = endpoint.with_header(&header.name, &header.value)?;
            }
            match &arguments.ca_certificate {
                Some(path) => {
                    let unreadable = |error| BackendError::Certificate(format!("{}: {error}", path.display()));
                    endpoint.with_ca_certificates(&std::fs::read(path).map_err(unreadable)?)
                }
                None => Ok(endpoint),
            }
        };
        Ok(match &arguments.source {
            Source { zipkin: Some(address), .. } => Self::Zipkin(Zipkin::at(&endpoint(address)?)?),
            Source { jaeger: Some(address), .. } => Self::Jaeger(Jaeger::at(&endpoint(address)?)?),
            Source { tempo: Some(address), .. } => Self::Tempo(Tempo::at(&endpoint(address)?)?),
            Source { otlp_json: Some(path), .. } => Self::File(path.clone()),
            // The parser requires one of them.
            Source { .. } => return Err(BackendError::NotFound),
        })
    }

    async fn spans(&self, trace_id: Option<TraceId>) -> Result<Vec<Span>, BackendError> {
        let id = trace_id.unwrap_or_default();
        match self {
            Self::Zipkin(zipkin) => zipkin.trace(id).await,
            Self::Jaeger(jaeger) => jaeger.trace(id).await,
            Self::Tempo(tempo) => tempo.trace(id).await,
            Self::File(path) => {
                let in_file =
                    |error: &dyn std::fmt::Display| BackendError::Malformed(format!("{}: {error}", path.display()));
                let bytes = std::fs::read(path).map_err(|error| in_file(&error))?;
                let mut spans = otlp_json::read(&bytes).map_err(|error| match error {
                    BackendError::Malformed(error) => in_file(&error),
                    other => other,
                })?;
                spans.retain(|span| trace_id.is_none_or(|id| span.trace_id == id));
                Ok(spans)
            }
        }
    }
}

fn trace_id(text: &str) -> Result<TraceId, InvalidId> {
    let mut parts = text.split('-');
    match (parts.next(), parts.next()) {
        (Some("00"), Some(trace_id)) => trace_id.parse(),
        _ => text.parse(),
    }
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let schema = match arguments.schema.as_ref().map(Schema::from_file).transpose() {
        Ok(schema) => schema,
        Err(error) => return report(error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let graph = match runtime {
        Ok(runtime) => runtime.block_on(fetch(arguments)),
        Err(error) => return report(format_args!("cannot start: {error}")),
    };
    let graph = match graph {
        Ok(graph) if graph.is_empty() => return report(nothing(arguments)),
        Ok(graph) => graph,
        Err(error) => return report(error),
    };
    let judged: Vec<(TraceGraph, Vec<AssertionFailure>)> = graph
        .traces()
        .into_iter()
        .map(|trace| (judge(&trace, arguments), trace))
        .map(|(broken, trace)| (trace, broken))
        .collect();
    for (trace, broken) in &judged {
        report_failures(trace, broken, judged.len() == 1);
    }
    let complies = schema.is_none_or(|schema| check_schema(&schema, &graph));
    if let Some(path) = &arguments.html {
        let title = arguments.trace_id.map_or_else(|| "Traces".to_owned(), |id| format!("Trace {id}"));
        if let Err(error) = Page::new(&graph).title(title).write(path) {
            return report(format_args!("cannot write {}: {error}", path.display()));
        }
    }
    if complies && judged.iter().all(|(_, broken)| broken.is_empty()) { Exit::Good } else { Exit::Bad }
}

/// Checks all traces together, since the number of values of a key is that of all spans. Prints the result.
fn check_schema(schema: &Schema, graph: &TraceGraph) -> bool {
    for line in schema.unmatched(graph) {
        report(format_args!("warning: {}:{line}: no span matches this rule", schema.source()));
    }
    match graph.schema(schema) {
        Ok(()) => {
            print(format_args!("complies    {} · {} spans", schema.source(), graph.len()));
            true
        }
        Err(broken) => {
            print(format_args!("VIOLATES    {} · {} spans\n", schema.source(), graph.len()));
            print(broken.summary());
            false
        }
    }
}

/// Returns the message for an empty result.
fn nothing(arguments: &Arguments) -> String {
    match (&arguments.source.otlp_json, arguments.trace_id) {
        (Some(file), Some(_)) => format!("{}: no such trace", file.display()),
        (Some(file), None) => format!("{}: no spans", file.display()),
        (None, _) => BackendError::NotFound.to_string(),
    }
}

/// Fetches the spans, again and again until they make a whole trace or the time is over.
async fn fetch(arguments: &Arguments) -> Result<TraceGraph, BackendError> {
    let backend = Backend::new(arguments)?;
    let deadline = Instant::now() + Duration::from_secs(arguments.wait.min(3_600));
    loop {
        let graph = backend.spans(arguments.trace_id).await.map(TraceGraph::new);
        let settled = match &graph {
            Ok(graph) => judge(graph, arguments).is_empty(),
            Err(BackendError::NotFound | BackendError::Unreachable(_)) => false,
            Err(_) => true,
        };
        if settled || matches!(backend, Backend::File(_)) || Instant::now() >= deadline {
            return graph;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn judge(trace: &TraceGraph, arguments: &Arguments) -> Vec<AssertionFailure> {
    let mut broken = trace.continuity().broken;
    let services = arguments.services.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    let services: Vec<&str> = services.collect();
    broken.extend(trace.services_seen(&services).err());
    if arguments.conventions {
        broken.extend(trace.conventions(Version::LATEST).err());
    }
    if arguments.recommended {
        let except: Vec<&str> = arguments.except.iter().map(|key| key.trim()).collect();
        broken.extend(trace.recommended(Version::LATEST, &except).err());
    }
    broken
}

/// Prints the verdict, the tree and the failures; for a whole trace among many only the verdict.
fn report_failures(trace: &TraceGraph, broken: &[AssertionFailure], alone: bool) {
    let verdict = trace.continuity();
    let ids: Vec<String> = verdict.traces.iter().map(ToString::to_string).collect();
    let counts = format!(
        "{} · {} spans, {} services, {} roots, {} orphans",
        ids.join(", "),
        verdict.spans,
        verdict.services.len(),
        verdict.roots,
        verdict.orphans
    );
    if broken.is_empty() {
        print(format_args!("continuous  {counts}"));
    } else {
        print(format_args!("BROKEN      {counts}"));
    }
    if alone || !broken.is_empty() {
        print(format_args!("\n{trace}"));
    }
    for broken in broken {
        print(broken.summary());
    }
}
