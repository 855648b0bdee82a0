//! The demo itself: brokers, services, orders, verdict.

mod children;

use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use propagation_testkit::otlp::OtlpReceiver;

use crate::{
    Arguments, Error, Hop,
    brokers::Brokers,
    event::Event,
    judge::{self, Placed},
    report,
    service::Name,
    shop::{self, Request},
    transit::HttpRelay,
};
use children::Children;

/// How long nothing may happen before the demo gives up waiting for orders.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many orders are placed at the same time.
const AT_ONCE: usize = 128;

/// Runs the demo; answers whether every trace was whole and nothing was where it should not be.
pub(crate) async fn demo(arguments: &Arguments) -> Result<bool, Error> {
    let began = Instant::now();
    let receiver = OtlpReceiver::start().await?;
    let brokers = Brokers::start(arguments).await?;
    let mut children = Children::new(brokers.variables(), receiver.grpc_endpoint(), arguments.policy);

    // Whoever is called is started before its caller.
    let orders = children.start(Name::Orders, &[]).await?;
    let (orders, _grpc) = through(arguments.broken, Hop::Grpc, orders).await?;
    let gateway = children.start(Name::Gateway, &[("DEMO_ORDERS_URL", format!("http://{orders}"))]).await?;
    let (callback, _http) = through(arguments.broken, Hop::Http, gateway.clone()).await?;
    children.start(Name::Payments, &[]).await?;
    children.start(Name::Shipping, &[]).await?;
    children.start(Name::Notifications, &[("DEMO_GATEWAY_URL", format!("http://{callback}"))]).await?;
    eprintln!("started {} services in {:.1} s", Name::ALL.len(), began.elapsed().as_secs_f64());

    let placed = place(&gateway, arguments.orders).await?;
    let events = follow(&mut children, &placed).await?;
    // Services send their last spans when they stop.
    children.stop().await;

    let verdict = judge::judge(&placed, &receiver.graph(), &events, arguments);
    report::print(&verdict);
    if let Some(file) = &arguments.report {
        std::fs::write(file, serde_json::to_vec_pretty(&report::json(&verdict))?)?;
    }
    if let Some(file) = &arguments.html {
        std::fs::write(file, report::html(&verdict))?;
    }
    Ok(verdict.holds())
}

/// The address to give callers: the service's own, or that of a relay that strips headers.
async fn through(broken: Option<Hop>, hop: Hop, address: String) -> Result<(String, Option<HttpRelay>), Error> {
    if broken != Some(hop) {
        return Ok((address, None));
    }
    let relay = HttpRelay::start(address, hop == Hop::Grpc).await?;
    Ok((relay.address.to_string(), Some(relay)))
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
async fn follow(children: &mut Children, placed: &[Placed]) -> Result<Vec<Event>, Error> {
    let bar = ProgressBar::new(placed.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} orders delivered")?);
    let known: BTreeSet<&str> = placed.iter().map(|placed| placed.order.as_str()).collect();
    let (mut events, mut done) = (Vec::new(), HashSet::new());
    while done.len() < known.len() {
        let Ok(event) = tokio::time::timeout(PATIENCE, children.next()).await else {
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
