//! Nothing personal travels: canaries of every kind, in disguise, in baggage keys, values and properties and in tracestate, over all
//! five transports; searched in every message that real brokers delivered, every span that was exported and every line that was
//! logged. With the policy open each must be found, before its absence counts.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use propagation_core::{InboundRule, KeyRule, OutboundRule, Peer, Policy, Propagator, Scrub, Transport};
use propagation_testkit::{
    canary::{Canaries, CanaryKind, Encoding, Evidence, LogCapture},
    trace::TraceGraph,
};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    alone::kinds,
    service::Request,
    shop::{PATIENCE, Shop, TENANT},
    transport::Address,
    whole::{self, WAY},
};

/// Every line that anything in this process logs from debug on, transports included.
fn log_of_this_process() -> LogCapture {
    static LOG: OnceLock<LogCapture> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = LogCapture::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).with_ansi(false);
        lines.with_writer(move || writer.clone()).init();
        log
    });
    log.clone()
}

/// Every key, both ways, copied to spans: a careless policy, of which only the scrubbers are left.
fn policy(scrub: Scrub) -> Policy {
    let any = || KeyRule::new("*").span_attribute("copied");
    Policy::builder()
        .scrub(scrub)
        .inbound(InboundRule::peers(["*"]).allow(any()))
        .outbound(OutboundRule::peers(["*"]).allow(any()))
        .build()
        .unwrap()
}

/// The maximum field size of a request. Transports would truncate larger fields and so could lose a canary.
const ROOM: (usize, usize) = (2_000, 400);

/// Each of these canaries in each disguise, in each place that can hold it: members of baggage, members of tracestate.
fn members(canaries: &Canaries) -> [Vec<String>; 2] {
    let (mut baggage, mut state) = (Vec::new(), Vec::new());
    for canary in canaries.iter() {
        for &encoding in Encoding::ALL {
            let Some(text) = canary.encoded(encoding) else { continue };
            // In other groups than its own a social security number is nine digits like any others.
            if canary.kind() == CanaryKind::Ssn && encoding == Encoding::Separated {
                continue;
            }
            // Encoded once for the header, as a sender does. The key marks a random string as a secret.
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let number = baggage.len();
            baggage.push(format!("api.password.{number}={encoded}"));
            if canary.kind() == CanaryKind::Secret {
                // Without such a key it could be any id.
                continue;
            }
            baggage.push(format!("{text}={number}"));
            baggage.push(format!("plan.{number}=free;password={encoded}"));
            // Sixteen hexadecimal digits of a vendor are a span-id.
            if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                state.push(format!("vendor{number}={text}"));
            }
        }
    }
    [baggage, state]
}

/// The outsider's message.
struct Fields {
    baggage: String,
    state: String,
}

impl Fields {
    fn new(baggage: &str, state: &str) -> Self {
        Self { baggage: format!("{TENANT}=acme,{baggage}"), state: state.to_owned() }
    }

    /// How many members a reader takes from them.
    fn members(&self) -> (usize, usize) {
        let open = Propagator::builder().policy(policy(Scrub::off())).build();
        let carrier = [
            ("traceparent", Request::sampled().traceparent()),
            ("baggage", &*self.baggage),
            ("tracestate", &*self.state),
        ]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let context = open.extract(&Peer::caller(Transport::HTTP), &carrier.to_vec()).context;
        (context.baggage.len(), usize::from(!context.trace.state.is_empty()))
    }

    async fn send(&self, client: &reqwest::Client, to: &Address) {
        let mut request = client.post(&to.name).body("{}").header("traceparent", Request::sampled().traceparent());
        request = request.header("baggage", &self.baggage);
        if !self.state.is_empty() {
            request = request.header("tracestate", &self.state);
        }
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

/// Requests that hide them all, a few to a request: those that a reader takes, and those that break the grammar.
fn hidden(canaries: &Canaries) -> Vec<Fields> {
    let [mut baggage, mut state] = members(canaries);
    // A line cannot be broken within a header.
    baggage.retain(|member| !member.contains('\n'));
    state.retain(|member| !member.contains('\n'));
    let (baggage, no_baggage): (Vec<_>, Vec<_>) =
        baggage.into_iter().partition(|member| Fields::new(member, "").members().0 == 2);
    let (state, no_state): (Vec<_>, Vec<_>) =
        state.into_iter().partition(|member| Fields::new("", member).members().1 == 1);
    let baggage = packed(&baggage, ROOM.0).into_iter().chain(packed(&no_baggage, ROOM.0));
    let state = packed(&state, ROOM.1).into_iter().chain(packed(&no_state, ROOM.1));
    let baggage = baggage.map(|list| Fields::new(&list, ""));
    baggage.chain(state.map(|list| Fields::new("", &list))).collect()
}

/// Lists of members, each no longer than this unless a single one is.
fn packed(members: &[String], room: usize) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for member in members {
        match lists.last_mut() {
            Some(list) if list.len() + member.len() < room => *list = format!("{list},{member}"),
            _ => lists.push(member.clone()),
        }
    }
    lists
}

/// Lets every request travel the whole way, and collects whatever was seen on it after the first service had it.
async fn travel(canaries: &Canaries, scrub: Scrub) -> Evidence {
    let log = log_of_this_process();
    let shop = Shop::open().await;
    let (gateway, mut arrivals) = whole::way(&shop, &policy(scrub)).await;
    let requests = hidden(canaries);
    let logged = log.text().len();
    assert!(requests.len() > 20, "{} requests hide canaries", requests.len());
    let client = reqwest::Client::new();
    futures_util::future::join_all(requests.iter().map(|request| request.send(&client, &gateway))).await;
    for _ in &requests {
        let arrival = arrivals.next().await;
        assert_eq!(arrival.context.baggage.get(TENANT).as_deref(), Some("acme"), "what is clean goes on");
    }
    assert_eq!(shop.wire.records().len(), requests.len() * WAY.len());
    let spans = received_everywhere(&shop, requests.len()).await;
    let ours = shop.wire.only(|record| record.from != "caller");
    Evidence::new().wire(&ours).spans(&spans).lines("the log", &log.text()[logged..])
}

/// Returns all spans, after each service has exported this number of receiving spans: the last end after their logs.
async fn received_everywhere(shop: &Shop, requests: usize) -> TraceGraph {
    let missing = |graph: &TraceGraph| {
        let received =
            |name: &str, by| graph.spans().filter(|span| span.service() == name && span.kind == kinds(by).1).count();
        WAY.into_iter().find(|(name, by)| received(name, *by) < requests)
    };
    let began = Instant::now();
    loop {
        shop.flush().await;
        let graph = shop.receiver.graph();
        let Some(missing) = missing(&graph) else { return graph };
        assert!(began.elapsed() < PATIENCE, "spans are missing of {missing:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_is_on_any_transport_in_any_span_or_log_line() {
    let sent_openly = Canaries::new();
    sent_openly.assert_present(&travel(&sent_openly, Scrub::off()).await);
    let kept_back = Canaries::new();
    kept_back.assert_absent(&travel(&kept_back, Scrub::default()).await);
}
