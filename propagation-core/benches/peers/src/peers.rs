//! The peers, each as its own documentation uses it.

use std::rc::Rc;

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    baggage::BaggageExt,
    propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use crate::{
    by_hand,
    cases::{Case, What},
    input, layer,
    measure::{Operation, Prepared},
};

pub const ALL: &[&str] = &["opentelemetry_sdk", "datadog-opentelemetry", "fastrace", "hand-written"];

/// A peer, set up once for all cases.
pub enum Peer {
    TextMap(Rc<dyn TextMapPropagator>),
    /// It reads and writes traceparent alone.
    Fastrace,
    ByHand,
}

impl Peer {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "opentelemetry_sdk" => Some(Self::TextMap(sdk())),
            "datadog-opentelemetry" => Some(Self::TextMap(datadog())),
            "fastrace" => Some(Self::Fastrace),
            "hand-written" => Some(Self::ByHand),
            _ => None,
        }
    }

    /// Returns true if a peer supports a case.
    pub fn can(name: &str, case: &Case) -> bool {
        let parent_only = case.fields.iter().all(|(name, _)| *name == "traceparent");
        match name {
            _ if matches!(case.what, What::Guard | What::Scan | What::Grows) => false,
            "fastrace" => parent_only && !case.grows && matches!(case.what, What::Extract | What::InjectInto),
            // One peer is enough to show the effect of growing input.
            _ if case.grows => name == "opentelemetry_sdk",
            "hand-written" => case.what != What::Layer,
            _ => true,
        }
    }

    pub fn operation(&self, case: &Case) -> Box<dyn Operation> {
        match self {
            Self::TextMap(propagator) => text_map(Rc::clone(propagator), case),
            Self::Fastrace if case.what == What::InjectInto => fastrace_inject(case),
            Self::Fastrace => fastrace_extract(case),
            Self::ByHand => by_hand::operation(case),
        }
    }
}

fn sdk() -> Rc<dyn TextMapPropagator> {
    Rc::new(TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]))
}

fn datadog() -> Rc<dyn TextMapPropagator> {
    use datadog_opentelemetry::configuration::{Config, TracePropagationStyle};

    let mut config = Config::builder();
    config.set_trace_propagation_style(vec![TracePropagationStyle::TraceContext, TracePropagationStyle::Baggage]);
    config.set_telemetry_enabled(false);
    config.set_remote_config_enabled(false);
    let (provider, propagator) = datadog_opentelemetry::tracing().with_config(config.build()).init_local();
    // Stopping it would wait for an agent that is not there.
    std::mem::forget(provider);
    Rc::new(propagator)
}

fn text_map(propagator: Rc<dyn TextMapPropagator>, case: &Case) -> Box<dyn Operation> {
    let headers = input::headers(case);
    match case.what {
        What::Layer => layer::attached(propagator, headers),
        What::InjectInto | What::InjectReplacing => {
            let context = propagator.extract(&HeaderExtractor(&headers));
            inject(case.what == What::InjectReplacing, move |headers| {
                propagator.inject_context(&context, &mut HeaderInjector(headers));
            })
        }
        What::Read => Box::new(move || {
            let context = propagator.extract(&HeaderExtractor(&headers));
            context.baggage().iter().map(|(_, (value, _))| value.as_str().len()).sum()
        }),
        What::Extract | What::Guard | What::Scan | What::Grows => Box::new(move || {
            let context = propagator.extract(&HeaderExtractor(&headers));
            context.baggage().len() + usize::from(context.has_active_span())
        }),
    }
}

/// An injection into a prepared map.
pub fn inject(replaces: bool, write: impl Fn(&mut HeaderMap) + 'static) -> Box<dyn Operation> {
    let prepare = move |headers: &mut HeaderMap| {
        if !replaces {
            input::outgoing(headers);
        }
    };
    let run = move |headers: &mut HeaderMap| {
        write(headers);
        headers.len()
    };
    Box::new(Prepared { state: input::live(replaces), prepare, run })
}

fn fastrace_extract(case: &Case) -> Box<dyn Operation> {
    let headers = input::headers(case);
    Box::new(move || {
        let parent = HeaderExtractor(&headers)
            .get("traceparent")
            .and_then(fastrace::prelude::SpanContext::decode_w3c_traceparent);
        usize::from(parent.is_some())
    })
}

fn fastrace_inject(case: &Case) -> Box<dyn Operation> {
    let headers = input::headers(case);
    let text = headers.get("traceparent").map(HeaderValue::to_str).and_then(Result::ok).unwrap_or_default();
    let parent = fastrace::prelude::SpanContext::decode_w3c_traceparent(text);
    inject(false, move |headers| {
        if let Some(parent) = &parent {
            HeaderInjector(headers).set("traceparent", parent.encode_w3c_traceparent());
        }
    })
}
