//! Configurations and inputs that grow: rules, keys, members, formats, and responses that stream.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use propagation_core::{
    Formats, InboundRule, OutboundRule, Peer, Policy, Propagator, Scrub, Transport, policy::PolicyBuilder,
};
use propagation_http::{HeaderCarrier, HeaderCarrierMut, ServerPropagationLayer};
use tower_layer::Layer;

use crate::{
    input,
    measure::{Operation, Prepared},
    ours,
    streams::{self, Streams},
};

const SIZES: [usize; 4] = [1, 10, 100, 1_000];
const KEYS: [usize; 3] = [5, 50, 500];
const MEMBERS: [usize; 4] = [1, 5, 16, 64];
const FORMATS: [&str; 9] =
    ["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "datadog", "gcp", "grpc-trace-bin"];

/// The names of all cases.
pub fn names() -> Vec<String> {
    let mut names = Vec::new();
    for kind in ["address", "identity", "topic", "exact", "suffix", "wildcard", "peers-of-one-rule"] {
        names.extend(SIZES.map(|count| format!("grows-rules-{kind}-{count}")));
    }
    for kind in ["in", "out", "in-scrubbed", "out-scrubbed"] {
        names.extend(KEYS.map(|count| format!("grows-keys-{kind}-{count}")));
    }
    for kind in ["open", "default", "default-inject"] {
        names.extend(MEMBERS.map(|count| format!("grows-members-{kind}-{count}")));
    }
    for kind in ["extract", "inject"] {
        names.extend((1..=FORMATS.len()).map(|count| format!("grows-formats-{kind}-{count}")));
        names.extend(FORMATS.map(|name| format!("grows-format-{kind}-{name}")));
    }
    names.extend(["tp", "full"].map(|lists| format!("grows-stream-{lists}")));
    names
}

/// The operation of a case.
pub fn operation(name: &str) -> Box<dyn Operation> {
    let name = name.trim_start_matches("grows-");
    let (kind, count) = name.rsplit_once('-').expect("a kind and a count");
    let size = count.parse().unwrap_or(0);
    if let Some(kind) = kind.strip_prefix("rules-") {
        rules(kind, size)
    } else if let Some(kind) = kind.strip_prefix("keys-") {
        keys(kind, size)
    } else if let Some(kind) = kind.strip_prefix("members-") {
        members(kind, size)
    } else if let Some(kind) = kind.strip_prefix("formats-") {
        formats(kind == "inject", &FORMATS[..size])
    } else if let Some(rest) = name.strip_prefix("format-") {
        let (kind, format) = rest.split_once('-').expect("a kind and a format");
        formats(kind == "inject", &[format])
    } else {
        stream(count == "full")
    }
}

fn built(builder: PolicyBuilder) -> Propagator {
    Propagator::builder().policy(builder.build().expect("a legal policy")).build()
}

/// The last rule, or the last peer of the one rule, matches.
fn rules(kind: &str, count: usize) -> Box<dyn Operation> {
    let numbered = |make: &dyn Fn(usize) -> String| (0..count).map(make).collect::<Vec<_>>();
    let address = |n: usize| format!("address:10.{}.{}.7", n / 256, n % 256);
    let last = count - 1;
    let open = Policy::builder().scrub(Scrub::off());
    match kind {
        "address" | "identity" | "topic" => {
            let patterns = match kind {
                "address" => numbered(&address),
                "identity" => numbered(&|n| format!("identity:service-{n}")),
                _ => numbered(&|n| format!("kafka:topic-{n}")),
            };
            let rule = |builder: PolicyBuilder, peer: &String| builder.inbound(InboundRule::peers([peer]).allow("*"));
            let propagator = built(patterns.iter().fold(open, rule));
            let headers = lines(&input::three_and_five(), 0);
            let (identity, topic) = (format!("service-{last}"), format!("topic-{last}"));
            let kind = kind.to_owned();
            let caller: std::net::IpAddr = address(last).trim_start_matches("address:").parse().expect("an address");
            Box::new(move || {
                let mut peer = Peer::caller(Transport::HTTP);
                match kind.as_str() {
                    "address" => peer.address = Some(caller),
                    "identity" => peer.identity = Some(&identity),
                    _ => peer = Peer::kafka(&topic),
                }
                propagator.extract(&peer, &HeaderCarrier::new(&headers)).context.baggage.len()
            })
        }
        _ => {
            let rule = |builder: PolicyBuilder, peer: &String| builder.outbound(OutboundRule::peers([peer]).allow("*"));
            let patterns = match kind {
                "suffix" => numbered(&|n| format!("http:*.zone-{n}.internal")),
                "wildcard" => numbered(&|n| format!("http:api-*.zone-{n}.internal")),
                _ => numbered(&|n| format!("http:api.zone-{n}.internal")),
            };
            let builder = match kind {
                "peers-of-one-rule" => open.outbound(OutboundRule::peers(&patterns).allow("*")),
                _ => patterns.iter().fold(open, rule),
            };
            let host = if kind == "wildcard" { "api-7" } else { "api" };
            inject(built(builder), &input::three_and_five(), format!("{host}.zone-{last}.internal"))
        }
    }
}

/// Five members, whose rules are the last of many.
fn keys(kind: &str, count: usize) -> Box<dyn Operation> {
    let others = (5..count).map(|n| format!("other.key.{n}"));
    let keys: Vec<String> = others.chain(input::KEYS_5.map(str::to_owned)).collect();
    let scrub = if kind.ends_with("scrubbed") { Scrub::default() } else { Scrub::off() };
    let inbound = keys.iter().fold(InboundRule::peers(["*"]), |rule, key| rule.allow(key.as_str()));
    let outbound = keys.iter().fold(OutboundRule::peers(["*"]), |rule, key| rule.allow(key.as_str()));
    let propagator = built(Policy::builder().scrub(scrub).inbound(inbound).outbound(outbound));
    if kind.starts_with("in") {
        extract(propagator, lines(&input::three_and_five(), 0))
    } else {
        inject(propagator, &input::three_and_five(), "api.internal".to_owned())
    }
}

fn members(kind: &str, count: usize) -> Box<dyn Operation> {
    let baggage = (0..count).map(|n| format!("key.{n:02}=value{n}")).collect::<Vec<_>>().join(",");
    let fields = input::fields(&[("traceparent", input::PARENT), ("baggage", &baggage)]);
    match kind {
        "open" => extract(ours::open(), lines(&fields, 0)),
        "default" => extract(Propagator::default(), lines(&fields, 0)),
        _ => inject(Propagator::default(), &fields, "api.internal".to_owned()),
    }
}

fn formats(injects: bool, names: &[&str]) -> Box<dyn Operation> {
    let formats = Formats::from_lookup(|_| Some(names.join(","))).expect("known formats");
    let open = Policy::builder()
        .scrub(Scrub::off())
        .inbound(InboundRule::peers(["*"]).allow("*"))
        .outbound(OutboundRule::peers(["*"]).allow("*"));
    let propagator = Propagator::builder().policy(open.build().expect("a legal policy")).formats(formats).build();
    if injects {
        inject(propagator, &input::three_and_five(), "api.internal".to_owned())
    } else {
        extract(propagator, lines(&Vec::new(), 20))
    }
}

fn extract(propagator: Propagator, headers: HeaderMap) -> Box<dyn Operation> {
    Box::new(move || {
        let admission = propagator.extract(&Peer::caller(Transport::HTTP), &HeaderCarrier::new(&headers));
        admission.context.baggage.len() + admission.rejections.len()
    })
}

/// Injects the fields that all propagators read into a map that has room.
fn inject(propagator: Propagator, fields: &input::OutgoingFields, host: String) -> Box<dyn Operation> {
    let context = ours::open().extract(&Peer::caller(Transport::HTTP), &HeaderCarrier::new(&lines(fields, 0))).context;
    let run = move |headers: &mut HeaderMap| {
        let _ = propagator.inject(&Peer::http(&host), &context, &mut HeaderCarrierMut::new(headers));
        headers.len()
    };
    Box::new(Prepared { state: HeaderMap::with_capacity(64), prepare: input::outgoing, run })
}

/// Header lines as hyper makes them: slices of one buffer, which is as large as its read buffer.
fn lines(fields: &input::OutgoingFields, unrelated: usize) -> HeaderMap {
    let mut buffer = Vec::with_capacity(8_192);
    let mut spans = Vec::new();
    for (name, value) in fields {
        spans.push((HeaderName::from_static(name), buffer.len()..buffer.len() + value.len()));
        buffer.extend_from_slice(value.as_bytes());
    }
    for n in 0..unrelated {
        let (name, value) = (format!("x-unrelated-{n}"), format!("value of header number {n}"));
        spans.push((HeaderName::try_from(name).expect("a legal name"), buffer.len()..buffer.len() + value.len()));
        buffer.extend_from_slice(value.as_bytes());
    }
    buffer.resize(8_192, 0);
    let buffer = Bytes::from(buffer);
    let mut map = HeaderMap::with_capacity(32);
    for (name, span) in spans {
        map.append(name, HeaderValue::from_maybe_shared(buffer.slice(span)).expect("a legal value"));
    }
    map
}

/// Returns the bytes that are held for a response that streams.
fn stream(lists: bool) -> Box<dyn Operation> {
    let fields = if lists { input::three_and_five() } else { input::parent_only() };
    let propagator = Propagator::builder().policy(Policy::internal(input::KEYS_5)).build();
    let service = ServerPropagationLayer::new(propagator).layer(Streams);
    streams::held(service, move || lines(&fields, 5))
}
