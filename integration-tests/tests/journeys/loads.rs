//! Loads on the loopback addresses of real brokers, bounded in number and time. One at a time: `--test-threads 1`.

use std::time::{Duration, Instant};

use lapin::{BasicProperties, options::BasicPublishOptions};
use propagation_amqp::ProducerPropagation as AmqpProducer;
use propagation_kafka::ProducerPropagation;
use propagation_sqs::SqsInterceptor;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use crate::{
    kafka, rabbitmq,
    service::{Request, Service},
    shop::{PATIENCE, Shop, TENANT},
    sqs,
};

/// The pairs of a comparison.
const PAIRS: usize = 10;

/// The most that a wrapper may add to a message. Builds of tests are not optimised, so this detects gross faults alone; `--release`
/// gives figures of use.
const MOST_ADDED: Duration = Duration::from_millis(5);

/// A share of the throughput that a wrapper with a gross fault does not reach.
const LEAST_SHARE: f64 = 0.7;

/// The medians of the pairs of a comparison.
struct Comparison {
    /// The throughput with the wrapper, as a share of the throughput without it.
    share: f64,
    /// The noise: bare runs beside bare runs.
    noise: f64,
    /// The seconds that the wrapper adds to a run.
    added: f64,
}

/// Compares runs. They alternate, and so does the order within a pair.
async fn compare(bare: impl AsyncFn(), wrapped: impl AsyncFn()) -> Comparison {
    timed(&bare).await;
    timed(&wrapped).await;
    let (mut shares, mut noise, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let (a, b) = if pair % 2 == 0 {
            let a = timed(&bare).await;
            (a, timed(&wrapped).await)
        } else {
            let b = timed(&wrapped).await;
            (timed(&bare).await, b)
        };
        shares.push(quotient(a, b));
        added.push(b.as_secs_f64() - a.as_secs_f64());
        let a = timed(&bare).await;
        noise.push(quotient(a, timed(&bare).await));
    }
    Comparison { share: median(shares), noise: median(noise), added: median(added) }
}

async fn timed(run: &impl AsyncFn()) -> Duration {
    let began = Instant::now();
    run().await;
    began.elapsed()
}

fn quotient(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-9)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

fn report(broker: &str, messages: u32, compared: &Comparison) {
    let Comparison { share, noise, added } = compared;
    let micros = added / f64::from(messages) * 1e6;
    println!(
        "{broker}: throughput with the wrapper {share:.3} of that without (bare against bare {noise:.3}), \
         {micros:.1} µs more a message; {PAIRS} pairs of runs of {messages} messages"
    );
    // On a busy machine, runs differ by more than that. The throughput then differs little.
    assert!(micros < MOST_ADDED.as_secs_f64() * 1e6 || *share > LEAST_SHARE, "{broker}: {micros:.1} µs, {share:.3}");
}

fn request() -> Request {
    Request::unsampled().baggage(TENANT, "acme")
}

async fn kafka_run(orders: &Service, producer: &FutureProducer, topic: &str, messages: u32, wrapped: bool) {
    let propagation = ProducerPropagation::new(orders.propagator.clone());
    let payload = [b'x'; 200];
    let sends = async {
        for _ in 0..messages {
            let record = FutureRecord::to(topic).key("4711").payload(&payload[..]);
            if wrapped {
                drop(propagation.send_result(producer, record).map_err(|(error, _)| error).unwrap());
            } else {
                drop(producer.send_result(record).map_err(|(error, _)| error).unwrap());
            }
        }
    };
    orders.on(&request(), sends).await;
    producer.flush(PATIENCE).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_throughput_with_and_without_the_wrapper() {
    const MESSAGES: u32 = 5_000;
    let shop = Shop::open().await;
    let orders = shop.service("orders");
    let topic = shop.name("load");
    kafka::create_topic(&topic).await.unwrap();
    let producer: FutureProducer = kafka::config().create().unwrap();
    let run = async |wrapped| kafka_run(&orders, &producer, &topic, MESSAGES, wrapped).await;
    report("kafka", MESSAGES, &compare(async || run(false).await, async || run(true).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_throughput_with_and_without_the_wrapper() {
    const MESSAGES: u32 = 2_000;
    let shop = Shop::open().await;
    let orders = shop.service("orders");
    let connection = rabbitmq::connect().await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    // Nothing is bound to it: the broker drops the messages.
    let exchange = shop.name("load");
    let (kind, options) = (lapin::ExchangeKind::Fanout, lapin::options::ExchangeDeclareOptions::default());
    channel.exchange_declare(exchange.as_str().into(), kind, options, Default::default()).await.unwrap();
    let propagation = AmqpProducer::new(orders.propagator.clone(), &connection);
    let run = async |wrapped: bool| {
        let publishes = async {
            for _ in 0..MESSAGES {
                let (name, key) = (exchange.as_str().into(), "paid".into());
                let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
                if wrapped {
                    propagation.publish(&channel, name, key, options, &[b'x'; 200], properties).await.unwrap();
                } else {
                    channel.basic_publish(name, key, options, &[b'x'; 200], properties).await.unwrap();
                }
            }
        };
        orders.on(&request(), publishes).await;
    };
    report("rabbitmq", MESSAGES, &compare(async || run(false).await, async || run(true).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_throughput_with_and_without_the_interceptor() {
    const MESSAGES: u32 = 100;
    let shop = Shop::open().await;
    let orders = shop.service("orders");
    let bare = sqs::plain();
    let interceptor = SqsInterceptor::new(orders.propagator.clone());
    let wrapped = aws_sdk_sqs::Client::from_conf(sqs::config().interceptor(interceptor).build());
    let queue = sqs::create_queue(&bare, &shop.name("load")).await.unwrap();
    let run = async |client: &aws_sdk_sqs::Client| {
        let sends = async {
            for _ in 0..MESSAGES {
                client.send_message().queue_url(&queue).message_body("x".repeat(200)).send().await.unwrap();
            }
        };
        orders.on(&request(), sends).await;
    };
    report("elasticmq", MESSAGES, &compare(async || run(&bare).await, async || run(&wrapped).await).await);
}
