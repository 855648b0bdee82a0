//! Proxies and relays that pass messages on and strip the headers.

mod http;
mod messages;

use clap::ValueEnum;
use tokio::task::JoinHandle;

pub(crate) use self::http::HttpRelay;
use crate::{Error, Hop, brokers::Addresses, shop};

/// Every field that could carry the trace: these are stripped.
pub(crate) const FIELDS: [&str; 4] = ["traceparent", "tracestate", "baggage", "b3"];

/// Names the broken hop: its caller goes through a proxy that strips headers.
pub(crate) const BREAK: &str = "DEMO_BREAK";

/// Where receivers read, which is behind a relay where the hop is broken.
pub(crate) struct Transit {
    topic: &'static str,
    paid: &'static str,
    notifications: &'static str,
    _relay: Option<Relay>,
}

/// The running proxies and relays. They stop when dropped.
#[allow(dead_code, reason = "stops the proxy or relay when dropped")]
enum Relay {
    Thread(messages::KafkaRelay),
    Task(AbortOnDrop),
}

/// A task that ends when this is dropped.
pub(crate) struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The topics and queues behind a broken hop.
pub(crate) const STRIPPED_TOPIC: &str = "orders-stripped";
pub(crate) const STRIPPED_PAID: &str = "shipping-stripped";
pub(crate) const STRIPPED_NOTIFICATIONS: &str = "notifications-stripped";

impl Transit {
    /// Starts the relay at a hop that has a broker and is to be broken.
    pub(crate) async fn start(broken: Option<Hop>, at: &Addresses) -> Result<Self, Error> {
        let (topic, paid, notifications) = (shop::TOPIC, shop::SHIPPING_QUEUE, shop::NOTIFICATIONS_QUEUE);
        let whole = Self { topic, paid, notifications, _relay: None };
        Ok(match broken {
            Some(Hop::Kafka) => {
                let relay = Relay::Thread(messages::KafkaRelay::start(&at.kafka, topic, STRIPPED_TOPIC)?);
                Self { topic: STRIPPED_TOPIC, _relay: Some(relay), ..whole }
            }
            Some(Hop::Amqp) => {
                let relay = Relay::Task(messages::amqp(&at.amqp, paid, STRIPPED_PAID).await?);
                Self { paid: STRIPPED_PAID, _relay: Some(relay), ..whole }
            }
            Some(Hop::Sqs) => {
                let relay = Relay::Task(messages::sqs(&at.sqs, notifications, STRIPPED_NOTIFICATIONS).await?);
                Self { notifications: STRIPPED_NOTIFICATIONS, _relay: Some(relay), ..whole }
            }
            Some(Hop::Http | Hop::Grpc) | None => whole,
        })
    }

    /// The variables for receivers.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("DEMO_KAFKA_TOPIC_IN", self.topic.to_owned()),
            ("DEMO_AMQP_QUEUE_IN", self.paid.to_owned()),
            ("DEMO_SQS_QUEUE_IN", self.notifications.to_owned()),
        ]
    }
}

/// The URL by which a caller reaches a service: its own, or that of a proxy that strips headers.
pub(crate) async fn way(hop: Hop, url: String) -> Result<(String, Option<HttpRelay>), Error> {
    let broken = std::env::var(BREAK).ok().and_then(|name| Hop::from_str(&name, false).ok());
    if broken != Some(hop) {
        return Ok((url, None));
    }
    let relay = HttpRelay::start(url.trim_start_matches("http://").to_owned(), hop == Hop::Grpc).await?;
    Ok((relay.url(), Some(relay)))
}
