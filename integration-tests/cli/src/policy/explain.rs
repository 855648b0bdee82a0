use std::path::PathBuf;

use clap::{Args, ValueEnum};
use propagation_core::{
    Baggage, Direction, EscapedText, Policy, PropagationContext, TraceContext, TraceParent, TraceState, TraceTrust,
    policy::{BaggageSource, Decision, ExplainedField, Explanation},
};
use serde_json::{Value, json};

use super::{Error, Exit};
use crate::{print, report};

/// Explains the effect of a policy on trust, trace context, tracestate and each key of baggage.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The policy file.
    file: PathBuf,
    /// The direction of the context.
    #[arg(long, value_enum, default_value = "outbound")]
    direction: Way,
    /// The other side, such as `kafka:orders`, or `http:` for a caller.
    #[arg(long, value_name = "TRANSPORT:NAME")]
    peer: String,
    /// A caller's address, for inbound rules with address ranges.
    #[arg(long)]
    address: Option<std::net::IpAddr>,
    /// A caller's identity, for inbound rules with identities.
    #[arg(long)]
    identity: Option<String>,
    /// The traceparent; sampled by default.
    #[arg(long, default_value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    traceparent: TraceParent,
    /// The tracestate, as in its header: `dd=s:1,ot=th:8`.
    #[arg(long, default_value = "")]
    tracestate: String,
    /// The baggage, as in its header: `tenant.id=blue,plan=free`.
    #[arg(long, default_value = "")]
    baggage: String,
    /// A header of the application's own, for inbound rules with `baggage_from_headers`.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// A claim about the caller, for inbound rules with `baggage_from_claims`.
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// Print one JSON object for each instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    Inbound,
    Outbound,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let policy = Policy::from_file(&arguments.file)?;
    let (transport, name) = super::peer(&arguments.peer, &policy)?;
    let mut peer = super::peer_of(transport, &name);
    if let Some(address) = arguments.address {
        peer = peer.with_address(address);
    }
    if let Some(identity) = &arguments.identity {
        peer = peer.with_identity(identity);
    }
    let direction = match arguments.direction {
        Way::Inbound => Direction::Inbound,
        Way::Outbound => Direction::Outbound,
    };
    let baggage = Baggage::parse(arguments.baggage.as_bytes());
    let given = arguments.baggage.split(',').filter(|member| !member.trim().is_empty()).count();
    if baggage.len() < given {
        report(format_args!("{} of {given} members can't be read and are dropped", given - baggage.len()));
    }
    let state = match arguments.tracestate.as_str() {
        "" => TraceState::EMPTY,
        text => TraceState::parse(text.as_bytes()).map_err(|error| format!("tracestate: {error}"))?,
    };
    let trace = TraceContext::new(arguments.traceparent).with_state(state);
    let context = PropagationContext::new(trace).with_baggage(baggage);
    let explanation = match direction {
        Direction::Inbound => {
            let headers = pairs(&arguments.headers, "--header")?;
            let claims = pairs(&arguments.claims, "--claim")?;
            policy.explain_received(&peer, &context, &|source| own_value(source, &headers, &claims))
        }
        Direction::Outbound if arguments.headers.is_empty() && arguments.claims.is_empty() => {
            policy.explain(direction, &peer, &context)
        }
        Direction::Outbound => return Err("--header and --claim need --direction inbound".into()),
    };
    if let Some(trust) = explanation.trust {
        if arguments.json {
            print(super::scan::json_line(&trust_as_json(&explanation, trust)));
        } else {
            let linked = if explanation.linked { "; the next span links to the caller's" } else { "" };
            print(format_args!("trust: {} by rule {:?}{linked}", trust.as_str(), explanation.rule));
        }
    }
    for field in &explanation.fields {
        if arguments.json {
            let mut object = super::scan::json(&explanation.rule, field);
            object.insert("field".to_owned(), field.field.into());
            print(super::scan::json_line(&Value::Object(object)));
        } else {
            // Keys and values may come from outside: no control or bidirectional character reaches the terminal.
            print(EscapedText::new(&line(&explanation.rule, field)).with_max_bytes(16_384));
        }
    }
    Ok(Exit::Good)
}

/// Splits arguments of the form `name=value`.
fn pairs<'a>(arguments: &'a [String], option: &str) -> Result<Vec<(&'a str, &'a str)>, Error> {
    let pair = |text: &'a String| text.split_once('=').ok_or_else(|| format!("{option} {text:?}: expected NAME=VALUE"));
    Ok(arguments.iter().map(pair).collect::<Result<_, _>>()?)
}

/// Returns the value that the arguments give a header, in any case, or a claim.
fn own_value(source: BaggageSource<'_>, headers: &[(&str, &str)], claims: &[(&str, &str)]) -> Option<String> {
    let found = match source {
        BaggageSource::Header(name) => headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)),
        BaggageSource::Claim(name) => claims.iter().find(|(given, _)| *given == name),
        _ => None,
    };
    found.map(|(_, value)| (*value).to_owned())
}

fn trust_as_json(explanation: &Explanation, trust: TraceTrust) -> Value {
    let decision = match trust {
        TraceTrust::Full => Decision::Allowed,
        TraceTrust::IdsOnly => Decision::Modified,
        _ => Decision::Blocked,
    };
    json!({
        "field": "trust",
        "decision": decision.as_str(),
        "trust": trust.as_str(),
        "linked": explanation.linked,
        "rule": explanation.rule,
    })
}

fn line(rule: &str, explained: &ExplainedField) -> String {
    let ExplainedField { field, key, decision, reason, detector, output, source, .. } = explained;
    let key = key.as_ref().map_or_else(String::new, |key| format!(" {key}"));
    let mut line = format!("{field}{key}: {} by rule {rule:?}", decision.as_str());
    if let Some(source) = source {
        line += &format!(" from {source}");
    }
    if let Some(reason) = reason {
        let would = if *decision == Decision::Allowed { ", in report mode: would be " } else { ", " };
        line += &format!("{would}{reason}");
    }
    if let Some(detector) = detector {
        line += &format!(" ({detector})");
    }
    match output {
        Some(output) if *decision == Decision::Modified => line + &format!(": {output}"),
        _ => line,
    }
}
