//! Attempts of a caller to choose the trace, to decide about sampling, or to add baggage.

use tonic::metadata::{Binary, MetadataValue};

/// A header as the caller writes it.
pub(crate) type Field = (String, Vec<u8>);

/// The ids that a caller would like its request to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) trace: u128,
    pub(crate) span: u64,
}

/// The first byte of each half is above 127: the ids are long in decimal, too, and found in no other number by chance.
pub(crate) const CHOSEN: Ids = Ids { trace: 0xcbf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, span: 0xf067_aa0b_a902_b715 };
pub(crate) const OTHER: Ids = Ids { trace: 0x8af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 0xb7ad_6b71_6920_3331 };

/// The baggage of every caller, in two headers.
pub(crate) const BAGGAGE: [(&str, &str); 2] = [("tenant.tier", "gold"), ("admin", "true")];

/// A request of an outsider.
pub(crate) struct Attempt {
    /// For the message of a test that fails.
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
    /// For trusted callers the trace is one of these; not checked if the list is empty.
    pub(crate) chooses: Vec<Ids>,
    /// The expected effect for trusted callers.
    pub(crate) decides: Option<bool>,
}

impl Attempt {
    fn new(name: impl Into<String>, fields: Vec<Field>) -> Self {
        let baggage = BAGGAGE.map(|(key, value)| field("baggage", format!("{key}={value};{key}=property")));
        Self {
            name: name.into(),
            fields: fields.into_iter().chain(baggage).collect(),
            chooses: Vec::new(),
            decides: None,
        }
    }

    fn choosing(mut self, ids: impl IntoIterator<Item = Ids>) -> Self {
        self.chooses = ids.into_iter().collect();
        self
    }

    /// Like the attempts over HTTP, for carriers with one value for each name, spelled as in messages.
    pub(crate) fn into_message(mut self) -> Self {
        let (baggage, mut fields): (Vec<_>, Vec<_>) = self.fields.into_iter().partition(|(name, _)| name == "baggage");
        let baggage: Vec<Vec<u8>> = baggage.into_iter().map(|(_, list)| list).collect();
        fields.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        fields.push(field("baggage", baggage.join(&b',')));
        self.fields = fields;
        self
    }

    fn deciding(mut self, sampled: bool) -> Self {
        self.decides = Some(sampled);
        self
    }
}

/// Every attempt.
pub(crate) fn all() -> Vec<Attempt> {
    [alone(), repeated(), deciding_only(), mixed()].into_iter().flatten().collect()
}

type Format = (&'static str, fn(Ids, bool) -> Vec<Field>);

const FORMATS: [Format; 8] = [
    ("W3C", w3c),
    ("B3", b3),
    ("several B3 headers", b3_multi),
    ("Jaeger", jaeger),
    ("X-Ray", xray),
    ("Datadog", datadog),
    ("Google Cloud", google_cloud),
    ("grpc-trace-bin", grpc_trace_bin),
];

fn field(name: &str, value: impl Into<Vec<u8>>) -> Field {
    (name.to_owned(), value.into())
}

fn w3c(ids: Ids, sampled: bool) -> Vec<Field> {
    let parent = format!("00-{:032x}-{:016x}-0{}", ids.trace, ids.span, u8::from(sampled));
    vec![field("traceparent", parent), field("tracestate", "ot=th:8;rv:ffffffffffffff,vendor=chosen")]
}

fn b3(ids: Ids, sampled: bool) -> Vec<Field> {
    vec![field("b3", format!("{:032x}-{:016x}-{}", ids.trace, ids.span, u8::from(sampled)))]
}

fn b3_multi(ids: Ids, sampled: bool) -> Vec<Field> {
    vec![
        field("X-B3-TraceId", format!("{:032x}", ids.trace)),
        field("X-B3-SpanId", format!("{:016x}", ids.span)),
        field("X-B3-Sampled", u8::from(sampled).to_string()),
    ]
}

fn jaeger(ids: Ids, sampled: bool) -> Vec<Field> {
    vec![
        field("uber-trace-id", format!("{:032x}:{:016x}:0:{}", ids.trace, ids.span, u8::from(sampled))),
        field("uberctx-user", "root"),
        field("jaeger-baggage", "user=root"),
        field("jaeger-debug-id", "chosen"),
    ]
}

fn xray(ids: Ids, sampled: bool) -> Vec<Field> {
    let id = format!("{:032x}", ids.trace);
    let (time, unique) = id.split_at(8);
    let ids = format!("Self=1-{time}-{unique};Root=1-{time}-{unique};Parent={:016x}", ids.span);
    vec![field("X-Amzn-Trace-Id", format!("{ids};Sampled={};Lineage=chosen:1|0;user=root", u8::from(sampled)))]
}

fn datadog(ids: Ids, sampled: bool) -> Vec<Field> {
    let low = ids.trace & u128::from(u64::MAX);
    vec![
        field("x-datadog-trace-id", low.to_string()),
        field("x-datadog-parent-id", ids.span.to_string()),
        field("x-datadog-sampling-priority", if sampled { "2" } else { "-1" }),
        field("x-datadog-tags", format!("_dd.p.tid={:016x},_dd.p.dm=-4,_dd.p.user=root", ids.trace >> 64)),
        field("x-datadog-origin", "chosen"),
        field("ot-baggage-user", "root"),
    ]
}

fn google_cloud(ids: Ids, sampled: bool) -> Vec<Field> {
    vec![field("X-Cloud-Trace-Context", format!("{:032x}/{};o={}", ids.trace, ids.span, u8::from(sampled)))]
}

fn grpc_trace_bin(ids: Ids, sampled: bool) -> Vec<Field> {
    let bytes = [&[0, 0], &ids.trace.to_be_bytes()[..], &[1], &ids.span.to_be_bytes(), &[2, u8::from(sampled)]];
    vec![field("grpc-trace-bin", binary(&bytes.concat()))]
}

/// Binary metadata as gRPC has them on the wire.
fn binary(bytes: &[u8]) -> Vec<u8> {
    MetadataValue::<Binary>::from_bytes(bytes).as_encoded_bytes().to_vec()
}

/// The fields of a format, with names of either case.
fn alone() -> Vec<Attempt> {
    let mut out = Vec::new();
    for (name, format) in FORMATS {
        for sampled in [true, false] {
            let fields = format(CHOSEN, sampled);
            let shouted = fields.iter().map(|(name, value)| (name.to_uppercase(), value.clone())).collect();
            for (how, fields) in [("as it is", fields), ("in capitals", shouted)] {
                let attempt = Attempt::new(format!("{name} {how}, sampled: {sampled}"), fields);
                out.push(attempt.choosing([CHOSEN]).deciding(sampled));
            }
        }
    }
    let debug = Attempt::new("B3, debug", vec![field("b3", format!("{:032x}-{:016x}-d", CHOSEN.trace, CHOSEN.span))]);
    out.push(debug.choosing([CHOSEN]).deciding(true));
    let mut flagged = b3_multi(CHOSEN, false);
    flagged.push(field("X-B3-Flags", "1"));
    out.push(Attempt::new("several B3 headers, debug", flagged).choosing([CHOSEN]).deciding(true));
    let debug = format!("{:032x}:{:016x}:0:3", CHOSEN.trace, CHOSEN.span);
    out.push(Attempt::new("Jaeger, debug", vec![field("uber-trace-id", debug)]).choosing([CHOSEN]).deciding(true));
    out.push(Attempt::new("nothing but baggage", Vec::new()));
    out
}

/// Repeated headers: equal, of another trace, malformed, or joined in one line.
fn repeated() -> Vec<Attempt> {
    let mut out = Vec::new();
    for (name, format) in FORMATS {
        for sampled in [true, false] {
            let [chosen, other] = [CHOSEN, OTHER].map(|ids| format(ids, sampled));
            let garbage: Vec<Field> = chosen.iter().map(|(name, _)| field(name, "garbage")).collect();
            let shouted = other.iter().map(|(name, value)| (name.to_uppercase(), value.clone())).collect();
            let joined =
                chosen.iter().zip(&other).map(|((name, a), (_, b))| (name.clone(), [a, &b", "[..], b].concat()));
            let joined = joined.collect();
            for (how, fields) in [
                ("twice", [chosen.clone(), chosen.clone()].concat()),
                ("and another after it", [chosen.clone(), other.clone()].concat()),
                ("and another in capitals after it", [chosen.clone(), shouted].concat()),
                ("and another before it", [other, chosen.clone()].concat()),
                ("and garbage after it", [chosen.clone(), garbage.clone()].concat()),
                ("and garbage before it", [garbage, chosen].concat()),
                ("and another in one line", joined),
            ] {
                out.push(Attempt::new(format!("{name} {how}, sampled: {sampled}"), fields));
            }
        }
    }
    out
}

/// A decision for whatever trace it will be.
fn deciding_only() -> Vec<Attempt> {
    let trace = format!("{:032x}", CHOSEN.trace);
    let (time, unique) = trace.split_at(8);
    let root = |sampled| format!("Root=1-{time}-{unique};Sampled={sampled}");
    [
        ("b3", "0".into(), false),
        ("b3", "1".into(), true),
        ("b3", "d".into(), true),
        ("X-B3-Sampled", "0".into(), false),
        ("X-B3-Sampled", "1".into(), true),
        ("X-B3-Sampled", "true".into(), true),
        ("X-B3-Flags", "1".into(), true),
        ("X-Amzn-Trace-Id", "Sampled=0".into(), false),
        ("X-Amzn-Trace-Id", root("0").into(), false),
        ("X-Amzn-Trace-Id", root("1").into(), true),
        ("x-datadog-sampling-priority", "-1".into(), false),
        ("x-datadog-sampling-priority", "2".into(), true),
        ("X-Cloud-Trace-Context", format!("{trace};o=0").into(), false),
        ("X-Cloud-Trace-Context", format!("{trace};o=1").into(), true),
        ("grpc-trace-bin", binary(&[0, 2, 0]), false),
        ("grpc-trace-bin", binary(&[0, 2, 1]), true),
    ]
    .map(|(name, value, sampled)| {
        let attempt = format!("{name}: {}", String::from_utf8_lossy(&value));
        Attempt::new(attempt, vec![field(name, value)]).deciding(sampled)
    })
    .into()
}

/// One format beside another with other values, all at once, and beside a malformed one.
fn mixed() -> Vec<Attempt> {
    let mut out = Vec::new();
    for (one, first) in FORMATS {
        for (two, second) in FORMATS.into_iter().filter(|(two, _)| *two != one) {
            let fields = [first(CHOSEN, true), second(OTHER, false)].concat();
            out.push(Attempt::new(format!("{one} beside {two}"), fields).choosing([CHOSEN, OTHER]));
        }
        let broken = [field("traceparent", "00-garbage-01"), field("b3", "garbage"), field("b3", "0")];
        let fields = [broken.to_vec(), first(CHOSEN, true)].concat();
        out.push(Attempt::new(format!("{one} beside broken fields"), fields));
    }
    let every = FORMATS.iter().flat_map(|(_, format)| format(CHOSEN, true)).collect();
    out.push(Attempt::new("every format", every).choosing([CHOSEN]).deciding(true));
    out
}
