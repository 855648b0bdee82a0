"""The SDK, as any Python service sets it up, and the two ways to propagate: by hand, or by the instrumentations."""

from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import default_setter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind

# Set by `start`: whether the instrumentations make the spans, and the code here none.
instrumented = False


def start(service: str, endpoint: str | None, by_instrumentations: bool) -> TracerProvider:
    global instrumented
    instrumented = by_instrumentations
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    if endpoint:
        # Each span on its own and at once: the test waits for it.
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
    if by_instrumentations:
        _instrument()
    return provider


def _instrument() -> None:
    from opentelemetry.instrumentation.boto3sqs import Boto3SQSInstrumentor
    from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
    from opentelemetry.instrumentation.pika import PikaInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    for instrumentor in (Boto3SQSInstrumentor, ConfluentKafkaInstrumentor, PikaInstrumentor, RequestsInstrumentor):
        instrumentor().instrument()


def tracer():
    return trace.get_tracer("bridge")


@contextmanager
def receiving(name: str, kind: SpanKind, carrier, getter, attributes: dict):
    """Runs its block in the context that `carrier` brings: a child of it, linked to it where it is a message's."""
    remote = propagate.extract(carrier, getter=getter)
    origin = trace.get_current_span(remote).get_span_context()
    links = [Link(origin)] if origin.is_valid and kind is SpanKind.CONSUMER else []
    token = context.attach(remote)
    try:
        with tracer().start_as_current_span(name, kind=kind, links=links, attributes=attributes):
            yield
    finally:
        context.detach(token)


@contextmanager
def sending(name: str, kind: SpanKind, carrier, setter, attributes: dict):
    """Runs its block, the send, with the new span's context written into `carrier`."""
    with tracer().start_as_current_span(name, kind=kind, attributes=attributes):
        propagate.inject(carrier, setter=setter or default_setter)
        yield


def messaging(system: str, operation: str, kind: str, destination: str) -> dict:
    """The attributes that the conventions require on every messaging span."""
    return {
        "messaging.system.name": system,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.destination.name": destination,
    }
