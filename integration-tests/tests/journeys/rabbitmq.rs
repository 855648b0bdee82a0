//! RabbitMQ by lapin and `propagation-amqp`.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use propagation_amqp::{ConsumerPropagation, ProducerPropagation};
use propagation_core::Propagator;
use propagation_testkit::fault::MalformedValue;
use tokio::sync::Mutex;

use crate::{
    Failure,
    service::{Errors, Service, Stop},
    transport::Address,
    variable,
};

pub(crate) struct RabbitMqSender {
    propagator: Propagator,
    queue: String,
    /// Opened when needed, and again after the broker was away.
    open: Mutex<Option<Open>>,
}

struct Open {
    connection: Connection,
    channel: Channel,
    propagation: ProducerPropagation,
}

impl RabbitMqSender {
    pub(crate) fn open(service: &Service, to: &Address) -> Self {
        Self { propagator: service.propagator.clone(), queue: to.name.clone(), open: Mutex::default() }
    }

    pub(crate) async fn send(&self, body: &str) -> Result<(), Failure> {
        let mut open = self.open.lock().await;
        let ready = match open.take() {
            Some(ready) => ready,
            None => self.connect().await?,
        };
        // Persistent: survives a restart of the broker.
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let queue = self.queue.as_str().into();
        let (propagation, body) = (&ready.propagation, body.as_bytes());
        let publish = propagation.publish_confirmed(&ready.channel, "".into(), queue, options, body, properties);
        while_connected(&ready.connection, publish).await??;
        *open = Some(ready);
        Ok(())
    }

    async fn connect(&self) -> Result<Open, Failure> {
        let connection = connect().await?;
        let channel = while_connected(&connection, connection.create_channel()).await??;
        while_connected(&connection, channel.confirm_select(ConfirmSelectOptions::default())).await??;
        let propagation = ProducerPropagation::new(self.propagator.clone(), &connection);
        Ok(Open { connection, channel, propagation })
    }
}

pub(crate) async fn connect() -> Result<Connection, Failure> {
    let (url, properties) = (variable("AMQP_URL"), ConnectionProperties::default());
    Ok(tokio::time::timeout(Duration::from_secs(20), Connection::connect(&url, properties)).await??)
}

/// Awaits an operation of lapin, at most until its connection is lost.
///
/// lapin 4.12 never completes an acknowledgement or a new channel that is requested while the task of its connection ends.
async fn while_connected<T>(connection: &Connection, operation: impl Future<Output = T>) -> Result<T, Failure> {
    let lost = async {
        while connection.status().connected() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        // Mostly, the operation fails by itself.
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        done = operation => Ok(done),
        () = lost => Err("the connection is lost".into()),
    }
}

pub(crate) async fn declare(queue: &str) -> Result<(), Failure> {
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, FieldTable::default()).await?;
    Ok(())
}

/// Declares a further queue, so that those before it survive if the broker is killed.
///
/// RabbitMQ keeps queues in Mnesia, whose log has two records for each: the transaction, and later that it was committed. A
/// declaration waits until the first is on disk. The second follows with the next declaration, or within two seconds; without it, the
/// queue is gone at the next start, and its confirmed messages with it.
pub(crate) async fn flush_declarations(name: &str) -> Result<(), Failure> {
    declare(name).await
}

/// Publishes a message unchanged. All headers of a message must fit into one frame.
pub(crate) async fn put(queue: &str, body: &str, fields: &[(String, MalformedValue)]) -> Result<(), Failure> {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        if table.contains_key(name) {
            return Err("RabbitMQ has each header once".into());
        }
        table.insert(name.as_str().into(), amqp_value(value));
    }
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let properties = BasicProperties::default().with_headers(table);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties).await?.await?;
    Ok(())
}

fn amqp_value(value: &MalformedValue) -> AMQPValue {
    match value {
        MalformedValue::Bytes(bytes) => AMQPValue::LongString(bytes.clone().into()),
        MalformedValue::Int(number) => AMQPValue::LongLongInt(*number),
        MalformedValue::Double(number) => AMQPValue::Double(*number),
        MalformedValue::Bool(truth) => AMQPValue::Boolean(*truth),
        MalformedValue::List(list) => AMQPValue::FieldArray(list.iter().map(amqp_value).collect::<Vec<_>>().into()),
        MalformedValue::Table(members) => {
            let mut table = FieldTable::default();
            for (name, member) in members {
                table.insert(name.as_str().into(), amqp_value(member));
            }
            AMQPValue::FieldTable(table)
        }
        _ => AMQPValue::Void,
    }
}

/// Returns text values; other types as a placeholder.
fn headers(delivery: &Delivery) -> Vec<(String, Vec<u8>)> {
    let headers = delivery.properties.headers().iter().flat_map(FieldTable::inner);
    headers
        .map(|(name, value)| {
            let value = match value {
                AMQPValue::LongString(text) => text.as_bytes().to_vec(),
                other => format!("{other:?}").into_bytes(),
            };
            (name.as_str().to_owned(), value)
        })
        .collect()
}

pub(crate) async fn listen(stop: Arc<Stop>, queue: String) -> Result<String, Failure> {
    let connection = connect().await?;
    declare(&queue).await?;
    let name = queue.clone();
    tokio::spawn(async move {
        let mut connection = Some(connection);
        let mut errors = Errors::new(format!("consumer of {queue}"));
        loop {
            // Ends when the broker goes away.
            if let Err(error) = consume(&stop, &queue, connection.take()).await {
                errors.print(&error);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    Ok(name)
}

async fn consume(stop: &Arc<Stop>, queue: &str, connection: Option<Connection>) -> Result<(), Failure> {
    let connection = match connection {
        Some(connection) => connection,
        None => connect().await?,
    };
    let channel = while_connected(&connection, connection.create_channel()).await??;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(queue.into(), "".into(), options, arguments);
    let mut deliveries = while_connected(&connection, consumer).await??;
    let propagation = ConsumerPropagation::new(stop.service.propagator.clone(), queue);
    while let Some(delivery) = while_connected(&connection, deliveries.next()).await? {
        let delivery = delivery?;
        let body = String::from_utf8_lossy(&delivery.data).into_owned();
        stop.saw(&body, headers(&delivery));
        if propagation.process(&delivery, stop.handle(body)).await.is_ok() {
            while_connected(&connection, propagation.ack(&delivery, BasicAckOptions::default())).await??;
        } else {
            let again = BasicNackOptions { requeue: true, multiple: false };
            while_connected(&connection, propagation.nack(&delivery, again)).await??;
        }
    }
    Ok(())
}
