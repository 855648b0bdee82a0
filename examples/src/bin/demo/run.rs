//! The demo itself: brokers, services, orders, verdict.

mod services;
mod stack;

use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant, UNIX_EPOCH},
};

use indicatif::{ProgressBar, ProgressStyle};
use propagation_testkit::{otlp::OtlpReceiver, trace::TraceGraph};

use self::{
    services::{Services, Variables},
    stack::Stack,
};
use crate::{
    Arguments, BrokerKind, Error,
    brokers::{self, Addresses, Loopback},
    event::Event,
    judge::{self, Placed, Verdict},
    report,
    service::{Name, interrupted},
    services::gateway,
    shop::{self, Request},
    telemetry,
    transit::{self, Transit},
};

/// How long nothing may happen before the demo gives up waiting for orders.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long no span may come before the traces that are whole are taken to be all there is, and those that are not.
const QUIET: Duration = Duration::from_millis(600);
const LONG_QUIET: Duration = Duration::from_secs(4);
/// How many orders are placed at the same time.
const AT_ONCE: usize = 128;

/// Runs the demo; answers whether every trace was whole and nothing was where it should not be.
pub(crate) async fn demo(arguments: &Arguments) -> Result<bool, Error> {
    let mut stack = Stack::default();
    let verdict = tokio::select! {
        verdict = run(arguments, &mut stack) => verdict,
        () = interrupted() => Err("interrupted".into()),
    };
    stack.down().await?;
    let verdict = verdict?;
    report::print(&verdict);
    if let Some(file) = &arguments.report {
        std::fs::write(file, serde_json::to_vec_pretty(&report::json(&verdict))?)?;
    }
    if let Some(file) = &arguments.html {
        std::fs::write(file, report::html(&verdict))?;
    }
    Ok(verdict.holds())
}

async fn run(arguments: &Arguments, stack: &mut Stack) -> Result<Verdict, Error> {
    let began = Instant::now();
    let mut shop = match arguments.brokers {
        BrokerKind::Loopback => {
            let brokers = Brokers::Loopback(Loopback::start().await?);
            in_processes(arguments, brokers, OtlpReceiver::start().await?).await?
        }
        BrokerKind::Compose => on_the_stack(arguments, stack).await?,
    };
    let containers: Vec<_> = shop.services.containers().map(|(name, id)| (name, id.to_owned())).collect();
    let how = if containers.is_empty() { "as processes" } else { "in containers" };
    eprintln!("started {} services {how} in {:.1} s", Name::ALL.len(), began.elapsed().as_secs_f64());

    let placed = place(&shop.gateway, arguments.orders).await?;
    let mut events = follow(&mut shop.services, &placed).await?;
    // Services send their last spans when they stop.
    events.extend(shop.services.stop().await);
    let judge = |graph: &TraceGraph| judge::judge(&placed, graph, &events, arguments);
    let mut verdict = judge(&shop.receiver.graph());
    if !containers.is_empty() {
        verdict = settled(&shop.receiver, judge).await;
    }
    verdict.containers = containers;
    Ok(verdict)
}

/// The running parts of the demo.
struct Shop {
    services: Services,
    /// Where customers reach it.
    gateway: String,
    receiver: OtlpReceiver,
    _transit: Transit,
    _brokers: Brokers,
}

/// Resources of the demo's own process must live as long as the shop.
enum Brokers {
    Loopback(Loopback),
    Compose(Addresses),
}

impl Brokers {
    fn addresses(&self) -> &Addresses {
        match self {
            Self::Loopback(loopback) => &loopback.addresses,
            Self::Compose(addresses) => addresses,
        }
    }
}

/// Each service as a process of this machine.
async fn in_processes(arguments: &Arguments, brokers: Brokers, receiver: OtlpReceiver) -> Result<Shop, Error> {
    let transit = Transit::start(arguments.broken, brokers.addresses()).await?;
    let mut variables = variables(arguments, &transit);
    variables.extend(brokers.addresses().variables());
    variables.extend([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint()),
        // Spans come soon, and none is lost where hundreds of orders are placed at once.
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "65536".to_owned()),
    ]);

    // Callees start before callers.
    let mut services = Services::new();
    let orders = services.start(Name::Orders, &variables, &[]).await?;
    let orders = [("DEMO_ORDERS_URL", format!("http://{orders}"))];
    let gateway = services.start(Name::Gateway, &variables, &orders).await?;
    services.start(Name::Payments, &variables, &[]).await?;
    services.start(Name::Shipping, &variables, &[]).await?;
    let callback = [("DEMO_GATEWAY_URL", format!("http://{gateway}"))];
    services.start(Name::Notifications, &variables, &callback).await?;
    Ok(Shop { services, gateway, receiver, _transit: transit, _brokers: brokers })
}

/// Each service in a container of the compose file, on its brokers, exporting to its Collector. Where this program does not run in
/// a container, on the same brokers as processes.
async fn on_the_stack(arguments: &Arguments, stack: &mut Stack) -> Result<Shop, Error> {
    let up = stack.up().await?;
    // First: resources of another run on the stack stay untouched.
    let receiver = OtlpReceiver::bind(up.back).map_err(|error| {
        format!("{}, where the Collector sends spans back to: {error}; does another demo run?", up.back)
    })?;
    brokers::prepare(&up.addresses).await?;
    let brokers = Brokers::Compose(up.addresses);
    if let Some(reason) = stack.image().await? {
        eprintln!("the services run as processes of this machine, not in containers: {reason}");
        return in_processes(arguments, brokers, receiver).await;
    }
    let transit = Transit::start(arguments.broken, brokers.addresses()).await?;
    let mut services = Services::new();
    let mut variables = variables(arguments, &transit);
    // Spans of a run that was interrupted may still be under way in the Collector.
    let seconds = UNIX_EPOCH.elapsed()?.as_secs();
    variables.push((gateway::RUN, format!("{:04x}", seconds % 0x1_0000)));
    let (containers, gateway) = stack.services(&variables).await?;
    for (name, id) in containers {
        services.follow(name, &id).await?;
    }
    Ok(Shop { services, gateway, receiver, _transit: transit, _brokers: brokers })
}

/// The environment variables of every service.
fn variables(arguments: &Arguments, transit: &Transit) -> Variables {
    let mut variables = vec![(telemetry::POLICY, arguments.policy.as_str().to_owned())];
    variables.extend(arguments.broken.map(|hop| (transit::BREAK, hop.as_str().to_owned())));
    variables.extend(transit.variables());
    variables
}

/// The verdict once the Collector has passed on all spans: when the traces are whole, or nothing comes any more.
async fn settled(receiver: &OtlpReceiver, judge: impl Fn(&TraceGraph) -> Verdict) -> Verdict {
    let (mut count, mut changed) = (0, Instant::now());
    loop {
        let graph = receiver.graph();
        if graph.len() != count {
            (count, changed) = (graph.len(), Instant::now());
        }
        let quiet = changed.elapsed();
        if quiet > QUIET {
            let verdict = judge(&graph);
            if verdict.continuous() || quiet > LONG_QUIET {
                return verdict;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Places orders as customers' apps would: a body, and baggage with one key too many.
async fn place(gateway: &str, count: u32) -> Result<Vec<Placed>, Error> {
    use futures_util::{StreamExt, TryStreamExt, stream};

    let client = reqwest::Client::new();
    let url = format!("http://{gateway}/orders");
    let orders = stream::iter(0..count).map(|n| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            let request = request(n);
            let baggage = format!(
                "{}={},{}={},{}=de-AT,{}={}",
                shop::TENANT,
                request.tenant,
                shop::FEATURE,
                if n % 2 == 0 { "on" } else { "off" },
                shop::LOCALE,
                shop::EMAIL,
                request.email,
            );
            let answer = client.post(url).header("baggage", baggage).json(&request).send().await?.error_for_status()?;
            let order: shop::Order = answer.json().await?;
            Ok::<_, Error>(Placed { order: order.id, tenant: request.tenant, email: request.email })
        }
    });
    orders.buffer_unordered(AT_ONCE).try_collect().await
}

fn request(n: u32) -> Request {
    let sku = ["kettle", "teapot", "cup"][n as usize % 3];
    Request {
        sku: sku.to_owned(),
        quantity: 1 + n % 4,
        tenant: ["blue", "green", "red", "amber", "violet"][n as usize % 5].to_owned(),
        email: format!("customer{n}@example.com"),
    }
}

/// Waits until every order has come back to the gateway, or nothing happens any more.
async fn follow(services: &mut Services, placed: &[Placed]) -> Result<Vec<Event>, Error> {
    let bar = ProgressBar::new(placed.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} orders delivered")?);
    let known: BTreeSet<&str> = placed.iter().map(|placed| placed.order.as_str()).collect();
    let (mut events, mut done) = (Vec::new(), HashSet::new());
    while done.len() < known.len() {
        let Ok(event) = tokio::time::timeout(PATIENCE, services.next()).await else {
            eprintln!("only {} of {} orders came back; nothing happened for {PATIENCE:?}", done.len(), known.len());
            break;
        };
        let event = event?;
        if let Event::Done { order } = &event
            && known.contains(order.as_str())
            && done.insert(order.clone())
        {
            bar.inc(1);
        }
        events.push(event);
    }
    bar.finish_and_clear();
    Ok(events)
}
