//! The inputs, the same for every side.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cases::Case;

pub const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub const STATE_3: &str = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7,ot=th:8;rv:6e6d1a75832a2f";
pub const BAGGAGE_5: &str = "tenant.id=blue,feature.express=on,locale=de-AT,plan=free%20trial,session.id=3f9a6c1e7b52";
pub const KEYS_5: [&str; 5] = ["tenant.id", "feature.express", "locale", "plan", "session.id"];

fn state_32() -> String {
    (0..32).map(|n| format!("vendor{n:02}=00f067aa0ba9{n:04x}")).collect::<Vec<_>>().join(",")
}

/// 64 members, 8,192 bytes exactly.
fn baggage_64() -> String {
    let mut members: Vec<String> = (0..64).map(|n| format!("key.number.{n:02}={}", "v".repeat(113))).collect();
    let length = members.iter().map(String::len).sum::<usize>() + 63;
    let last = members.last_mut().expect("64 members");
    if length < 8192 {
        last.push_str(&"w".repeat(8192 - length));
    } else {
        last.truncate(last.len() - (length - 8192));
    }
    members.join(",")
}

fn fields(case: Case) -> Vec<(&'static str, String)> {
    let parent = ("traceparent", PARENT.to_owned());
    let list = |name, text: &str| (name, text.to_owned());
    match case {
        Case::ExtractA | Case::InjectA => vec![parent],
        Case::ExtractC | Case::ExtractCRead | Case::InjectC | Case::GuardC | Case::LayerC => {
            vec![parent, list("tracestate", STATE_3), list("baggage", BAGGAGE_5)]
        }
        Case::ExtractD => vec![parent, ("tracestate", state_32()), ("baggage", baggage_64())],
        Case::ExtractE => Vec::new(),
        Case::ExtractABad => vec![("traceparent", PARENT.replace("-01", "-0g"))],
        Case::ExtractCBad => vec![
            parent,
            list("tracestate", &STATE_3.replace("rojo", "Rojo")),
            list("baggage", &BAGGAGE_5.replace("plan=", "plan ")),
        ],
        Case::ExtractDBad => vec![
            parent,
            ("tracestate", state_32() + ",one=more"),
            ("baggage", baggage_64().replace("key.number.63=", "key number 63=")),
        ],
        Case::HostileCommas => vec![parent, ("tracestate", ",".repeat(65_536)), ("baggage", ",".repeat(65_536))],
        Case::HostileLong => {
            vec![
                parent,
                ("tracestate", format!("a={}", "x".repeat(65_536))),
                ("baggage", format!("a={}", "x".repeat(65_536))),
            ]
        }
        Case::HostileEscapes => vec![parent, ("baggage", format!("a={}", "%".repeat(65_536)))],
    }
}

/// Headers as hyper makes them: every value is a slice of one shared buffer.
pub fn headers(case: Case) -> HeaderMap {
    let fields = fields(case);
    let unrelated = if case == Case::ExtractE { 20 } else { 0 };
    let mut buffer = Vec::new();
    let mut spans = Vec::new();
    for (name, value) in &fields {
        spans.push((HeaderName::from_static(name), buffer.len()..buffer.len() + value.len()));
        buffer.extend_from_slice(value.as_bytes());
    }
    for n in 0..unrelated {
        let value = format!("value of header number {n}");
        let name = HeaderName::try_from(format!("x-unrelated-{n}")).expect("a legal name");
        spans.push((name, buffer.len()..buffer.len() + value.len()));
        buffer.extend_from_slice(value.as_bytes());
    }
    let buffer = Bytes::from(buffer);
    let mut map = HeaderMap::with_capacity(32);
    for (name, span) in spans {
        map.append(name, HeaderValue::from_maybe_shared(buffer.slice(span)).expect("a legal value"));
    }
    map
}

/// A map that has room, with the headers of an ordinary request.
pub fn outgoing(with_ours: bool) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(32);
    for (name, value) in
        [("host", "api.internal"), ("user-agent", "shop/1.0"), ("accept", "*/*"), ("content-type", "application/json")]
    {
        map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if with_ours {
        map.insert("traceparent", HeaderValue::from_static(PARENT));
        map.insert("tracestate", HeaderValue::from_static(STATE_3));
        map.insert("baggage", HeaderValue::from_static(BAGGAGE_5));
    }
    map
}
