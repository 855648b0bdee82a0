//! Brokers inside the demo's own process: librdkafka's mock cluster, and the test kit's loopback endpoints.

use propagation_testkit::{loopback_amqp::LoopbackAmqp, loopback_sqs::LoopbackSqs};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

use crate::{Error, Hop, shop, transit};

pub(crate) struct Brokers {
    kafka: MockCluster<'static, DefaultProducerContext>,
    amqp: LoopbackAmqp,
    sqs: LoopbackSqs,
    /// Where payments read from: the topic, or what is left of it behind a broken hop.
    topic: String,
    _relay: Option<transit::KafkaRelay>,
}

impl Brokers {
    pub(crate) async fn start(broken: Option<Hop>) -> Result<Self, Error> {
        let kafka = MockCluster::new(1)?;
        kafka.create_topic(shop::TOPIC, 4, 1)?;
        let (topic, relay) = if broken == Some(Hop::Kafka) {
            let topic = format!("{}-stripped", shop::TOPIC);
            kafka.create_topic(&topic, 4, 1)?;
            let relay = transit::KafkaRelay::start(&kafka.bootstrap_servers(), shop::TOPIC, &topic)?;
            (topic, Some(relay))
        } else {
            (shop::TOPIC.to_owned(), None)
        };

        let mut amqp = LoopbackAmqp::builder();
        if broken == Some(Hop::Amqp) {
            amqp = amqp.tap(|message| {
                for name in transit::FIELDS {
                    message.remove_header(name);
                }
            });
        }
        let mut sqs = LoopbackSqs::builder();
        if broken == Some(Hop::Sqs) {
            sqs = sqs.tap(|message| {
                for name in transit::FIELDS {
                    message.attributes.remove(name);
                }
                message.system_attributes.clear();
            });
        }
        let (amqp, sqs) = (amqp.start().await?, sqs.start().await?);
        sqs.create_queue(shop::NOTIFICATIONS_QUEUE)?;
        Ok(Self { kafka, amqp, sqs, topic, _relay: relay })
    }

    /// What services need to know: addresses, and nothing of what is behind them.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DEMO_KAFKA_BROKERS", self.kafka.bootstrap_servers()),
            ("DEMO_KAFKA_TOPIC_IN", self.topic.clone()),
            ("DEMO_AMQP_URI", self.amqp.uri()),
            ("DEMO_SQS_ENDPOINT", self.sqs.endpoint_url().to_owned()),
        ]
    }
}
