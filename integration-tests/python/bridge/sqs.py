"""SQS by boto3. Message attributes carry the fields; a receiver has to request them."""

import boto3
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.trace import SpanKind

from . import telemetry
from .message import Message, say_received


class AttributeGetter(Getter):
    def get(self, carrier, key):
        value = carrier.get(key, {}).get("StringValue")
        return [value] if value is not None else None

    def keys(self, carrier):
        return list(carrier)


class AttributeSetter(Setter):
    def set(self, carrier, key, value):
        carrier[key] = {"DataType": "String", "StringValue": value}


def open_queue(name, options):
    client = boto3.client(
        "sqs",
        endpoint_url=options.sqs,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return client, client.create_queue(QueueName=name)["QueueUrl"]


class Source:
    def __init__(self, name, options):
        self.name = name
        self.client, self.url = open_queue(name, options)

    def run(self, handle, stop, ready):
        ready({})
        while not stop.is_set():
            answer = self.client.receive_message(
                QueueUrl=self.url,
                WaitTimeSeconds=1,
                MaxNumberOfMessages=1,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )
            # Indexed or iterated, never copied: the instrumentation's list sets the context when an item is taken.
            for received in answer.get("Messages", []):
                self._one(received, handle)
                self.client.delete_message(QueueUrl=self.url, ReceiptHandle=received["ReceiptHandle"])

    def _one(self, received, handle):
        attributes = received.get("MessageAttributes", {})
        fields = [(name, value.get("StringValue", "")) for name, value in attributes.items()]
        if header := received.get("Attributes", {}).get("AWSTraceHeader"):
            fields.append(("AWSTraceHeader", header))
        message = Message("sqs", received["Body"].encode(), fields)
        if telemetry.instrumented:
            say_received(message)
            handle(message)
            return
        facts = telemetry.messaging("aws.sqs", "process", "process", self.name)
        facts["messaging.message.id"] = received["MessageId"]
        with telemetry.receiving(f"process {self.name}", SpanKind.CONSUMER, attributes, AttributeGetter(), facts):
            say_received(message)
            handle(message)


class Target:
    def __init__(self, name, options):
        self.name = name
        self.client, self.url = open_queue(name, options)

    def send(self, body):
        attributes = {}
        if telemetry.instrumented:
            self._send(body, attributes)
            return
        facts = telemetry.messaging("aws.sqs", "send", "send", self.name)
        with telemetry.sending(f"send {self.name}", SpanKind.PRODUCER, attributes, AttributeSetter(), facts):
            self._send(body, attributes)

    def _send(self, body, attributes):
        self.client.send_message(QueueUrl=self.url, MessageBody=body.decode(), MessageAttributes=attributes)
