//! The inputs, the same for every side.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cases::Case;

/// Header lines: a name and its value.
pub type OutgoingFields = Vec<(&'static str, String)>;

pub const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub const STATE_3: &str = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7,ot=th:8;rv:6e6d1a75832a2f";
pub const BAGGAGE_5: &str = "tenant.id=blue,feature.express=on,locale=de-AT,plan=free%20trial,session.id=3f9a6c1e7b52";
pub const KEYS_5: [&str; 5] = ["tenant.id", "feature.express", "locale", "plan", "session.id"];

/// A kind of malformed input, and its fields.
type Bad = (&'static str, OutgoingFields);

pub fn fields(lines: &[(&'static str, &str)]) -> OutgoingFields {
    lines.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

pub fn parent_only() -> OutgoingFields {
    fields(&[("traceparent", PARENT)])
}

pub fn three_and_five() -> OutgoingFields {
    lists(STATE_3, BAGGAGE_5)
}

/// 32 members of tracestate, and 64 members of baggage in 8 KiB.
pub fn full() -> OutgoingFields {
    lists(&state(32), &baggage_64())
}

fn lists(state: &str, baggage: &str) -> OutgoingFields {
    fields(&[("traceparent", PARENT), ("tracestate", state), ("baggage", baggage)])
}

fn state(members: usize) -> String {
    (0..members).map(|n| format!("vendor{n:02}=00f067aa0ba9{n:04x}")).collect::<Vec<_>>().join(",")
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

pub fn upper_case() -> String {
    PARENT.to_ascii_uppercase()
}

pub fn bad_parents() -> Vec<Bad> {
    let one = |value: String| vec![("traceparent", value)];
    let (trace, span) = (&PARENT[3..35], &PARENT[36..52]);
    vec![
        ("version", one(PARENT.replacen("00", "ff", 1))),
        ("sign", one(PARENT.replacen("00", "+0", 1))),
        ("uppercase", one(upper_case())),
        ("short-ids", one("00-1-1-1".to_owned())),
        ("short-trace", one(format!("00-{}-{span}-01", &trace[1..]))),
        ("zero-trace", one(PARENT.replace(trace, &"0".repeat(32)))),
        ("zero-span", one(PARENT.replace(span, &"0".repeat(16)))),
        ("flags", one(PARENT.replace("-01", "-0g"))),
        ("tail", one(format!("{PARENT}-what"))),
        ("repeated", [one(PARENT.to_owned()), one(PARENT.replace("4bf9", "5bf9"))].concat()),
    ]
}

/// Keys that are none in both lists.
pub fn bad_keys() -> OutgoingFields {
    lists(&STATE_3.replace("rojo", "Rojo"), &BAGGAGE_5.replace("plan=", "plan x="))
}

pub fn bad_lists() -> Vec<Bad> {
    let many = |count: usize, member: &str| vec![member; count].join(",");
    let numbered = (0..65).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    let escapes = BAGGAGE_5.replace("%20", "%2").replace("blue", "%zz%").replace("de-AT", "%FF%C3");
    let repeated = fields(&[
        ("traceparent", PARENT),
        ("tracestate", STATE_3),
        ("tracestate", STATE_3),
        ("baggage", BAGGAGE_5),
        ("baggage", BAGGAGE_5),
        ("baggage", "%%%"),
    ]);
    let parentless = [fields(&[("traceparent", &upper_case())]), three_and_five().split_off(1)].concat();
    vec![
        ("keys", bad_keys()),
        ("escapes", lists(STATE_3, &escapes)),
        ("values", lists(&STATE_3.replace("=0", "==0"), &BAGGAGE_5.replace("on,", "o n,").replace("blue", "\"blue\""))),
        ("empty", lists(",,congo=,=,,", ",,tenant.id,=,;,")),
        ("headers", repeated),
        ("duplicates", lists(&many(5, "congo=1"), &many(5, "tenant.id=blue"))),
        ("limits", lists(&state(33), &numbered)),
        ("parent", parentless),
    ]
}

pub fn bad_full_lists() -> Vec<Bad> {
    let baggage = baggage_64();
    let duplicate = (0..64).fold(baggage.clone(), |text, n| text.replace(&format!(".{n:02}="), ".00="));
    vec![
        (
            "keys",
            lists(&state(32).replace("vendor31", "Vendor31"), &baggage.replace("key.number.63=", "key number 63=")),
        ),
        ("escapes", lists(&state(32), &baggage.replace("vvv", "%vv"))),
        ("duplicates", lists(&state(32).replace("vendor3", "vendor0"), &duplicate)),
        ("limits", lists(&state(33), &format!("{baggage},{baggage}"))),
    ]
}

/// Inputs that are as long as one wants.
pub const HOSTILE: &[(&str, fn(usize) -> OutgoingFields)] = &[
    ("baggage-members", |size| lists(STATE_3, &numbered("k", "=v", size))),
    ("baggage-value", |size| lists(STATE_3, &long("a=", "x", size))),
    ("baggage-key", |size| lists(STATE_3, &long("", "x", size))),
    ("baggage-commas", |size| lists(STATE_3, &",".repeat(size))),
    ("baggage-percents", |size| lists(STATE_3, &long("a=", "%", size))),
    ("baggage-escapes", |size| lists(STATE_3, &long("a=", "%41", size))),
    ("baggage-spaces", |size| lists(STATE_3, &(long("a=b", " ", size - 4) + ",c=d"))),
    ("baggage-properties", |size| lists(STATE_3, &long("a=b", ";p=1", size))),
    ("baggage-duplicates", |size| lists(STATE_3, &long("a=b", ",a=b", size))),
    ("baggage-headers", |size| repeated("baggage", size)),
    ("tracestate-members", |size| lists(&numbered("v", "=1", size), BAGGAGE_5)),
    ("tracestate-value", |size| lists(&long("a=", "x", size), BAGGAGE_5)),
    ("tracestate-commas", |size| lists(&",".repeat(size), BAGGAGE_5)),
    ("tracestate-headers", |size| repeated("tracestate", size)),
    ("traceparent-value", |size| fields(&[("traceparent", &long(PARENT, "0", size))])),
    ("traceparent-headers", |size| vec![("traceparent", PARENT.to_owned()); size / PARENT.len()]),
];

fn long(begin: &str, unit: &str, size: usize) -> String {
    let times = size.saturating_sub(begin.len()) / unit.len();
    begin.to_owned() + &unit.repeat(times)
}

fn numbered(key: &str, rest: &str, size: usize) -> String {
    let mut list = String::with_capacity(size + 16);
    for n in 0.. {
        if list.len() >= size {
            break;
        }
        list.push_str(&format!("{key}{n}{rest},"));
    }
    list.truncate(size);
    list
}

/// As many headers of this name, each of 32 bytes, as give this size.
fn repeated(name: &'static str, size: usize) -> OutgoingFields {
    let mut lines = parent_only();
    lines.extend((0..size / 32).map(|n| (name, format!("k{n:05}=0123456789abcdef01234567"))));
    lines
}

/// Headers as hyper makes them: every value is a slice of one shared buffer.
pub fn headers(case: &Case) -> HeaderMap {
    let mut buffer = Vec::new();
    let mut spans = Vec::new();
    let mut line = |name: HeaderName, value: &str| {
        spans.push((name, buffer.len()..buffer.len() + value.len()));
        buffer.extend_from_slice(value.as_bytes());
    };
    for (name, value) in &case.fields {
        line(HeaderName::from_static(name), value);
    }
    for n in 0..case.unrelated {
        let name = HeaderName::try_from(format!("x-unrelated-{n}")).expect("a legal name");
        line(name, &format!("value of header number {n}"));
    }
    let buffer = Bytes::from(buffer);
    let mut map = HeaderMap::with_capacity(32);
    for (name, span) in spans {
        map.append(name, HeaderValue::from_maybe_shared(buffer.slice(span)).expect("a legal value"));
    }
    map
}

/// The headers of an ordinary request that is about to be sent.
pub fn outgoing(headers: &mut HeaderMap) {
    headers.clear();
    for (name, value) in
        [("host", "api.internal"), ("user-agent", "shop/1.0"), ("accept", "*/*"), ("content-type", "application/json")]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// A map that has room, with the headers of an ordinary request, and ours where they are to be replaced.
pub fn live(replaced: bool) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(32);
    outgoing(&mut headers);
    if replaced {
        headers.insert("traceparent", HeaderValue::from_static(PARENT));
        headers.insert("tracestate", HeaderValue::from_static(STATE_3));
        headers.insert("baggage", HeaderValue::from_static(BAGGAGE_5));
    }
    headers
}
