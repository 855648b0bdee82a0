//! The peers, each as its own documentation uses it.

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    baggage::BaggageExt,
    propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use crate::{
    cases::{Case, Operation},
    input,
};

pub const ALL: &[&str] = &["opentelemetry_sdk", "datadog-opentelemetry", "fastrace", "hand-written"];

pub fn operation(peer: &str, case: Case) -> Option<Operation> {
    if matches!(case, Case::GuardC | Case::LayerC) {
        return None;
    }
    match peer {
        "opentelemetry_sdk" => Some(text_map(sdk(), case)),
        "datadog-opentelemetry" => Some(text_map(datadog(), case)),
        // It reads and writes traceparent alone.
        "fastrace" => match case {
            Case::ExtractA | Case::ExtractE | Case::ExtractABad => Some(fastrace_extract(case)),
            Case::InjectA => Some(fastrace_inject()),
            _ => None,
        },
        "hand-written" => match case {
            Case::ExtractA | Case::ExtractC | Case::ExtractE | Case::ExtractABad => Some(hand_written(case)),
            _ => None,
        },
        _ => None,
    }
}

fn sdk() -> Box<dyn TextMapPropagator> {
    Box::new(TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]))
}

fn datadog() -> Box<dyn TextMapPropagator> {
    use datadog_opentelemetry::configuration::{Config, TracePropagationStyle};

    let mut config = Config::builder();
    config.set_trace_propagation_style(vec![TracePropagationStyle::TraceContext, TracePropagationStyle::Baggage]);
    config.set_telemetry_enabled(false);
    config.set_remote_config_enabled(false);
    let (provider, propagator) = datadog_opentelemetry::tracing().with_config(config.build()).init_local();
    // Stopping it would wait for an agent that is not there.
    std::mem::forget(provider);
    Box::new(propagator)
}

fn text_map(propagator: Box<dyn TextMapPropagator>, case: Case) -> Operation {
    match case {
        Case::InjectA | Case::InjectC => {
            let context = propagator.extract(&HeaderExtractor(&input::headers(case)));
            let replaces = case == Case::InjectC;
            let mut headers = input::outgoing(replaces);
            Box::new(move || {
                if !replaces {
                    headers.remove("traceparent");
                }
                propagator.inject_context(&context, &mut HeaderInjector(&mut headers));
                headers.len()
            })
        }
        _ => {
            let headers = input::headers(case);
            Box::new(move || {
                let context = propagator.extract(&HeaderExtractor(&headers));
                context.baggage().len() + usize::from(context.has_active_span())
            })
        }
    }
}

fn fastrace_extract(case: Case) -> Operation {
    let headers = input::headers(case);
    Box::new(move || {
        let parent = HeaderExtractor(&headers)
            .get("traceparent")
            .and_then(fastrace::prelude::SpanContext::decode_w3c_traceparent);
        usize::from(parent.is_some())
    })
}

fn fastrace_inject() -> Operation {
    let parent = fastrace::prelude::SpanContext::decode_w3c_traceparent(input::PARENT).expect("a legal traceparent");
    let mut headers = input::outgoing(false);
    Box::new(move || {
        headers.remove("traceparent");
        HeaderInjector(&mut headers).set("traceparent", parent.encode_w3c_traceparent());
        headers.len()
    })
}

/// What services write for themselves: split, parse, collect; no limits, no checks.
fn hand_written(case: Case) -> Operation {
    let headers = input::headers(case);
    Box::new(move || read_by_hand(&headers).map_or(0, |(_, _, baggage)| 1 + baggage.len()))
}

fn read_by_hand(headers: &HeaderMap) -> Option<(u128, u64, Vec<(String, String)>)> {
    let text = |name: &str| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let parent = text("traceparent")?;
    let mut parts = parent.split('-');
    let (_version, trace, span, _flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (trace, span) = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
    let baggage = text("baggage").unwrap_or_default().split(',').filter_map(|member| {
        let (key, value) = member.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    });
    Some((trace, span, baggage.collect()))
}
