"""RabbitMQ by pika. Headers are a table: one value a name."""

import pika
import pika.exceptions
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import SpanKind

from . import telemetry
from .message import Message, say_received


class TableGetter(Getter):
    def get(self, carrier, key):
        value = carrier.get(key)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        return [value] if isinstance(value, str) else None

    def keys(self, carrier):
        return list(carrier)


def open_channel(url, queue=None):
    """A channel, and the queue made sure of: as it is if it exists, whatever its arguments."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    if queue:
        try:
            channel.queue_declare(queue, passive=True)
        except pika.exceptions.ChannelClosedByBroker:
            channel = connection.channel()
            channel.queue_declare(queue)
    return connection, channel


class Source:
    def __init__(self, queue, options):
        self.queue = queue
        self.connection, self.channel = open_channel(options.amqp, queue)

    def run(self, handle, stop, ready):
        def deliver(channel, method, properties, body):
            self._one(method, properties, body, handle)
            channel.basic_ack(method.delivery_tag)

        self.channel.basic_qos(prefetch_count=1)
        # Named arguments: the instrumentation wraps the callback by its name.
        self.channel.basic_consume(queue=self.queue, on_message_callback=deliver)
        ready({})
        while not stop.is_set():
            self.connection.process_data_events(time_limit=0.2)
        self.connection.close()

    def _one(self, method, properties, body, handle):
        headers = properties.headers or {}
        fields = [(name, value if isinstance(value, str) else repr(value)) for name, value in headers.items()]
        message = Message("rabbitmq", body, fields)
        if telemetry.instrumented:
            say_received(message)
            handle(message)
            return
        destination = ":".join(part for part in (method.exchange, method.routing_key, self.queue) if part)
        if method.routing_key == self.queue:
            destination = ":".join(part for part in (method.exchange, self.queue) if part)
        attributes = telemetry.messaging("rabbitmq", "process", "process", destination)
        attributes["rabbitmq.destination.routing_key"] = method.routing_key
        attributes["rabbitmq.message.delivery_tag"] = method.delivery_tag
        with telemetry.receiving(f"process {destination}", SpanKind.CONSUMER, headers, TableGetter(), attributes):
            say_received(message)
            handle(message)


class Target:
    """`QUEUE`, by the default exchange, or `EXCHANGE/ROUTING_KEY`."""

    def __init__(self, name, options):
        self.exchange, _, self.key = name.rpartition("/")
        self.url = options.amqp

    def send(self, body):
        # One connection a message: heartbeats would not be answered between two messages.
        connection, channel = open_channel(self.url, None if self.exchange else self.key)
        headers = {}
        try:
            if telemetry.instrumented:
                self._publish(channel, body, headers)
                return
            destination = ":".join(part for part in (self.exchange, self.key) if part)
            attributes = telemetry.messaging("rabbitmq", "send", "send", destination)
            attributes["rabbitmq.destination.routing_key"] = self.key
            with telemetry.sending(f"send {destination}", SpanKind.PRODUCER, headers, None, attributes):
                self._publish(channel, body, headers)
        finally:
            connection.close()

    def _publish(self, channel, body, headers):
        properties = pika.BasicProperties(headers=headers)
        channel.basic_publish(exchange=self.exchange, routing_key=self.key, body=body, properties=properties)
