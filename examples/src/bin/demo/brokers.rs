//! The brokers: inside the demo's own process (librdkafka's mock cluster and the test kit's loopback endpoints), or those of
//! the compose file.

use propagation_testkit::{loopback_amqp::LoopbackAmqp, loopback_sqs::LoopbackSqs};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::RDKafkaErrorCode,
};

use crate::{Arguments, BrokerKind, Error, Hop, shop, transit};

/// How many orders can be charged at the same time by as many payments services.
const PARTITIONS: i32 = 4;

/// Where the brokers are, and what must live as long as they.
pub(crate) struct Brokers {
    variables: Vec<(&'static str, String)>,
    _loopback: Option<(MockCluster<'static, DefaultProducerContext>, LoopbackAmqp, LoopbackSqs)>,
    _relay: Option<transit::KafkaRelay>,
}

impl Brokers {
    pub(crate) async fn start(arguments: &Arguments) -> Result<Self, Error> {
        match arguments.brokers {
            BrokerKind::Loopback => Self::loopback(arguments.broken).await,
            BrokerKind::Compose => Self::compose(arguments.broken).await,
        }
    }

    /// What services need to know: addresses, and nothing of what is behind them.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        self.variables.clone()
    }

    async fn loopback(broken: Option<Hop>) -> Result<Self, Error> {
        let kafka = MockCluster::new(1)?;
        kafka.create_topic(shop::TOPIC, PARTITIONS, 1)?;
        kafka.create_topic(STRIPPED, PARTITIONS, 1)?;
        let servers = kafka.bootstrap_servers();
        let (topic, relay) = relay(broken, &servers)?;

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
        let variables = variables(servers, topic, amqp.uri(), sqs.endpoint_url().to_owned());
        Ok(Self { variables, _loopback: Some((kafka, amqp, sqs)), _relay: relay })
    }

    /// Real brokers, where `integration-tests/setup/stack.sh up` has them, or where the environment says.
    async fn compose(broken: Option<Hop>) -> Result<Self, Error> {
        if matches!(broken, Some(Hop::Amqp | Hop::Sqs)) {
            return Err("real brokers strip no headers: --break amqp and sqs need the loopback brokers".into());
        }
        let or = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
        let servers = or("KAFKA_BROKERS", "localhost:9092");
        let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", &servers).create()?;
        let topics = [shop::TOPIC, STRIPPED].map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)));
        for created in admin.create_topics(&topics, &AdminOptions::new()).await? {
            match created {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(format!("the topic {topic} can't be created: {code}").into()),
            }
        }
        let (topic, relay) = relay(broken, &servers)?;
        let amqp = or("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f");
        let sqs = or("SQS_ENDPOINT_URL", "http://127.0.0.1:9324");
        Ok(Self { variables: variables(servers, topic, amqp, sqs), _loopback: None, _relay: relay })
    }
}

/// What is left of the topic behind a broken hop.
const STRIPPED: &str = "orders-stripped";

/// The topic that payments read, and what fills it.
fn relay(broken: Option<Hop>, servers: &str) -> Result<(&'static str, Option<transit::KafkaRelay>), Error> {
    if broken != Some(Hop::Kafka) {
        return Ok((shop::TOPIC, None));
    }
    Ok((STRIPPED, Some(transit::KafkaRelay::start(servers, shop::TOPIC, STRIPPED)?)))
}

fn variables(kafka: String, topic: &str, amqp: String, sqs: String) -> Vec<(&'static str, String)> {
    vec![
        ("DEMO_KAFKA_BROKERS", kafka),
        ("DEMO_KAFKA_TOPIC_IN", topic.to_owned()),
        ("DEMO_AMQP_URI", amqp),
        ("DEMO_SQS_ENDPOINT", sqs),
    ]
}
