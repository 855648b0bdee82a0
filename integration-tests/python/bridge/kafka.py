"""Kafka by confluent-kafka. Headers are a list of names and bytes, duplicates allowed: the last counts."""

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.trace import SpanKind

from . import telemetry
from .message import Message, say_received


class HeaderGetter(Getter):
    def get(self, carrier, key):
        values = [value for name, value in carrier if name == key and value is not None]
        return [values[-1].decode("utf-8", "replace")] if values else None

    def keys(self, carrier):
        return [name for name, _ in carrier]


class HeaderSetter(Setter):
    def set(self, carrier, key, value):
        carrier[:] = [(name, old) for name, old in carrier if name != key]
        carrier.append((key, value.encode()))


def create_topic(topic, options):
    """A subscription alone does not make a topic, and would wait for one for ever."""
    admin = AdminClient({"bootstrap.servers": options.kafka})
    try:
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(timeout=15)
    except confluent_kafka.KafkaException as error:
        if error.args[0].code() != confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
            raise


class Source:
    def __init__(self, topic, options):
        self.topic = topic
        create_topic(topic, options)
        # Looked up late: the instrumentation replaces the class.
        self.consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": options.kafka,
                "group.id": options.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )

    def run(self, handle, stop, ready):
        self.consumer.subscribe([self.topic], on_assign=lambda *_: ready({}))
        while not stop.is_set():
            record = self.consumer.poll(0.2)
            if record is None or record.error():
                continue
            self._one(record, handle)
            self.consumer.commit(record, asynchronous=False)
        self.consumer.close()

    def _one(self, record, handle):
        headers = record.headers() or []
        fields = [(name, (value or b"").decode("utf-8", "replace")) for name, value in headers]
        message = Message("kafka", record.value() or b"", fields)
        if telemetry.instrumented:
            say_received(message)
            handle(message)
            return
        attributes = telemetry.messaging("kafka", "process", "process", self.topic)
        attributes["messaging.destination.partition.id"] = str(record.partition())
        attributes["kafka.offset"] = record.offset()
        with telemetry.receiving(f"process {self.topic}", SpanKind.CONSUMER, headers, HeaderGetter(), attributes):
            say_received(message)
            handle(message)


class Target:
    def __init__(self, topic, options):
        self.topic = topic
        self.producer = confluent_kafka.Producer({"bootstrap.servers": options.kafka})

    def send(self, body):
        headers = []
        if telemetry.instrumented:
            self._produce(body, headers)
            return
        attributes = telemetry.messaging("kafka", "send", "send", self.topic)
        with telemetry.sending(f"send {self.topic}", SpanKind.PRODUCER, headers, HeaderSetter(), attributes):
            self._produce(body, headers)

    def _produce(self, body, headers):
        failures = []
        self.producer.produce(
            self.topic, body, headers=headers, on_delivery=lambda error, _: failures.append(error) if error else None
        )
        if self.producer.flush(15) or failures:
            raise RuntimeError(f"kafka: not delivered: {failures}")
