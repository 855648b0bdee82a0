//! The brokers: inside the demo's own process (librdkafka's mock cluster and the test kit's loopback endpoints), or those of
//! the compose file.

use lapin::{Connection, ConnectionProperties, options::QueuePurgeOptions};
use propagation_testkit::{loopback_amqp::LoopbackAmqp, loopback_sqs::LoopbackSqs};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::RDKafkaErrorCode,
};

use crate::{
    Error,
    services::{payments, sqs},
    shop, transit,
};

/// How many orders can be charged at the same time by as many payments services.
const PARTITIONS: i32 = 4;

/// Where brokers are.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) kafka: String,
    pub(crate) amqp: String,
    pub(crate) sqs: String,
}

impl Addresses {
    /// The environment variables that hold the brokers' addresses.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("DEMO_KAFKA_BROKERS", self.kafka.clone()),
            ("DEMO_AMQP_URI", self.amqp.clone()),
            ("DEMO_SQS_ENDPOINT", self.sqs.clone()),
        ]
    }
}

/// Brokers in the demo's own process, which live as long as this.
pub(crate) struct Loopback {
    pub(crate) addresses: Addresses,
    _alive: (MockCluster<'static, DefaultProducerContext>, LoopbackAmqp, LoopbackSqs),
}

impl Loopback {
    pub(crate) async fn start() -> Result<Self, Error> {
        let kafka = MockCluster::new(1)?;
        for topic in TOPICS {
            kafka.create_topic(topic, PARTITIONS, 1)?;
        }
        let (amqp, sqs) = (LoopbackAmqp::start().await?, LoopbackSqs::start().await?);
        let addresses =
            Addresses { kafka: kafka.bootstrap_servers(), amqp: amqp.uri(), sqs: sqs.endpoint_url().to_owned() };
        Ok(Self { addresses, _alive: (kafka, amqp, sqs) })
    }
}

const TOPICS: [&str; 2] = [shop::TOPIC, transit::STRIPPED_TOPIC];

/// Makes the compose file's brokers as new: topics are there, and no order that an earlier run left waits in them or in queues.
pub(crate) async fn prepare(at: &Addresses) -> Result<(), Error> {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", &at.kafka).create()?;
    let options = AdminOptions::new();
    let topics = TOPICS.map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)));
    let mut left = TopicPartitionList::new();
    for created in admin.create_topics(&topics, &options).await? {
        match created {
            Ok(_) => {}
            Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => {
                for partition in 0..PARTITIONS {
                    left.add_partition_offset(&topic, partition, Offset::End)?;
                }
            }
            Err((topic, code)) => return Err(format!("the topic {topic} can't be created: {code}").into()),
        }
    }
    if left.count() > 0 {
        admin.delete_records(&left, &options).await?;
    }

    let connection = Connection::connect(&at.amqp, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    payments::declare(&channel).await?;
    payments::declare_queue(&channel, transit::STRIPPED_PAID).await?;
    for queue in [shop::SHIPPING_QUEUE, transit::STRIPPED_PAID] {
        channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await?;
    }

    let client = aws_sdk_sqs::Client::from_conf(sqs::config(&at.sqs).build());
    for queue in [shop::NOTIFICATIONS_QUEUE, transit::STRIPPED_NOTIFICATIONS] {
        let queue = sqs::Queue::open(&client, queue).await?;
        client.purge_queue().queue_url(queue.url).send().await?;
    }
    Ok(())
}
