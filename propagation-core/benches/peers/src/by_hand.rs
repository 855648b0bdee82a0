//! A parser as services write it by hand: split, parse, collect; no limits, no checks, one header of each.

use http::{HeaderMap, HeaderValue};

use crate::{
    cases::{Case, What},
    input,
    measure::Operation,
    peers::inject,
};

struct Context {
    trace: u128,
    span: u64,
    state: String,
    baggage: Vec<(String, String)>,
}

pub fn operation(case: &Case) -> Box<dyn Operation> {
    let headers = input::headers(case);
    match case.what {
        What::InjectInto | What::InjectReplacing => {
            let context = read(&headers);
            inject(case.what == What::InjectReplacing, move |headers| {
                if let Some(context) = &context {
                    write(context, headers);
                }
            })
        }
        What::Read => Box::new(move || {
            read(&headers).map_or(0, |context| context.baggage.iter().map(|(_, value)| decoded(value).len()).sum())
        }),
        _ => Box::new(move || read(&headers).map_or(0, |context| 1 + context.state.len() + context.baggage.len())),
    }
}

fn read(headers: &HeaderMap) -> Option<Context> {
    let text = |name: &str| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let parent = text("traceparent")?;
    let mut parts = parent.split('-');
    let (_version, trace, span, _flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let baggage = text("baggage").unwrap_or_default().split(',').filter_map(|member| {
        let (key, value) = member.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    });
    Some(Context {
        trace: u128::from_str_radix(trace, 16).ok()?,
        span: u64::from_str_radix(span, 16).ok()?,
        state: text("tracestate").unwrap_or_default().to_owned(),
        baggage: baggage.collect(),
    })
}

fn decoded(value: &str) -> String {
    let mut bytes = value.bytes();
    let mut decoded = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match byte {
            b'%' => decoded.extend(digit().zip(digit()).map(|(high, low)| high << 4 | low)),
            other => decoded.push(other),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn write(context: &Context, headers: &mut HeaderMap) {
    let mut set = |name: &'static str, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    set("traceparent", format!("00-{:032x}-{:016x}-01", context.trace, context.span));
    if !context.state.is_empty() {
        set("tracestate", context.state.clone());
    }
    if !context.baggage.is_empty() {
        let members: Vec<String> = context.baggage.iter().map(|(key, value)| format!("{key}={value}")).collect();
        set("baggage", members.join(","));
    }
}
