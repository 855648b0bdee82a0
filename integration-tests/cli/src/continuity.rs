//! `propagation continuity`: the verdict of the kit on a trace that is in a backend or a file.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::{Exit, complain, say};
use propagation_testkit::backend::jaeger::Jaeger;
use propagation_testkit::backend::zipkin::Zipkin;
use propagation_testkit::backend::{BackendError, otlp_json};
use propagation_testkit::html::Page;
use propagation_testkit::trace::conventions::Version;
use propagation_testkit::trace::{AssertionFailure, InvalidId, Span, TraceGraph, TraceId};

/// What to judge, and what to make of it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The trace: 32 hexadecimal digits, or a whole traceparent. May be left out with a file: then each trace in it.
    #[arg(value_parser = trace_id, required_unless_present = "otlp_json")]
    trace_id: Option<TraceId>,
    #[command(flatten)]
    source: Source,
    /// Write the waterfall here.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Services that must have taken part, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    services: Vec<String>,
    /// Check each span against the semantic conventions too.
    #[arg(long)]
    conventions: bool,
    /// Ask the backend again for so many seconds while the trace is not whole: spans arrive one after the other.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    wait: u64,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Address of a Zipkin: http://127.0.0.1:9411
    #[arg(long, value_name = "URL")]
    zipkin: Option<String>,
    /// Address of a Jaeger's query service: http://127.0.0.1:16686 (not yet tried against a real one)
    #[arg(long, value_name = "URL")]
    jaeger: Option<String>,
    /// A file of spans in OTLP's JSON form, as a Collector's file exporter writes it
    #[arg(long, value_name = "FILE")]
    otlp_json: Option<PathBuf>,
}

fn trace_id(text: &str) -> Result<TraceId, InvalidId> {
    let mut parts = text.split('-');
    match (parts.next(), parts.next()) {
        (Some("00"), Some(trace_id)) => trace_id.parse(),
        _ => text.parse(),
    }
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let graph = match runtime {
        Ok(runtime) => runtime.block_on(fetch(arguments)),
        Err(error) => return complain(format_args!("cannot start: {error}")),
    };
    let graph = match graph {
        Ok(graph) if graph.is_empty() => return complain(nothing(arguments)),
        Ok(graph) => graph,
        Err(error) => return complain(error),
    };
    let judged: Vec<(TraceGraph, Vec<AssertionFailure>)> = graph
        .traces()
        .into_iter()
        .map(|trace| (judge(&trace, arguments), trace))
        .map(|(broken, trace)| (trace, broken))
        .collect();
    for (trace, broken) in &judged {
        report(trace, broken, judged.len() == 1);
    }
    if let Some(path) = &arguments.html {
        let title = arguments.trace_id.map_or_else(|| "Traces".to_owned(), |id| format!("Trace {id}"));
        if let Err(error) = Page::new(&graph).title(title).write(path) {
            return complain(format_args!("cannot write {}: {error}", path.display()));
        }
    }
    if judged.iter().all(|(_, broken)| broken.is_empty()) { Exit::Good } else { Exit::Bad }
}

/// Says where nothing was found.
fn nothing(arguments: &Arguments) -> String {
    match (&arguments.source.otlp_json, arguments.trace_id) {
        (Some(file), Some(_)) => format!("{}: no such trace", file.display()),
        (Some(file), None) => format!("{}: no spans", file.display()),
        (None, _) => BackendError::NotFound.to_string(),
    }
}

/// The spans that were asked for; with patience, once they make a whole trace or the time is over.
async fn fetch(arguments: &Arguments) -> Result<TraceGraph, BackendError> {
    let deadline = Instant::now() + Duration::from_secs(arguments.wait.min(3_600));
    loop {
        let graph = ask(arguments).await.map(TraceGraph::new);
        let settled = match &graph {
            Ok(graph) => judge(graph, arguments).is_empty(),
            Err(BackendError::NotFound | BackendError::Unreachable(_)) => false,
            Err(_) => true,
        };
        if settled || arguments.source.otlp_json.is_some() || Instant::now() >= deadline {
            return graph;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn ask(arguments: &Arguments) -> Result<Vec<Span>, BackendError> {
    let Source { zipkin, jaeger, otlp_json: file } = &arguments.source;
    let id = arguments.trace_id.unwrap_or_default();
    if let Some(address) = zipkin {
        Zipkin::new(address)?.trace(id).await
    } else if let Some(address) = jaeger {
        Jaeger::new(address)?.trace(id).await
    } else if let Some(path) = file {
        let in_file = |error: &dyn std::fmt::Display| BackendError::Malformed(format!("{}: {error}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| in_file(&error))?;
        let mut spans = otlp_json::read(&bytes).map_err(|error| match error {
            BackendError::Malformed(error) => in_file(&error),
            other => other,
        })?;
        if let Some(id) = arguments.trace_id {
            spans.retain(|span| span.trace_id == id);
        }
        Ok(spans)
    } else {
        Err(BackendError::NotFound)
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
    broken
}

/// The verdict, the tree and the reasons; of a whole trace among many the verdict alone.
fn report(trace: &TraceGraph, broken: &[AssertionFailure], alone: bool) {
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
        say(format_args!("continuous  {counts}"));
    } else {
        say(format_args!("BROKEN      {counts}"));
    }
    if alone || !broken.is_empty() {
        say(format_args!("\n{trace}"));
    }
    for broken in broken {
        say(broken.summary());
    }
}
