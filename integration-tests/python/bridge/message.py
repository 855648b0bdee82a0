"""The common part of all transports: a body, the fields as they were on the wire, and lines of JSON for the test."""

import json
import sys
import threading
from dataclasses import dataclass, field

from opentelemetry import baggage, trace

_stdout = threading.Lock()


@dataclass
class Message:
    """A received message. `fields` are the wire's own, in order and with duplicates."""

    transport: str
    body: bytes
    fields: list[tuple[str, str]] = field(default_factory=list)


def say(event: str, **values) -> None:
    """Writes one event for the test, as one line."""
    with _stdout:
        json.dump({"event": event, **values}, sys.stdout, separators=(",", ":"))
        sys.stdout.write("\n")
        sys.stdout.flush()


def say_received(message: Message) -> None:
    """Returns the received message and the SDK's context: call it inside the message's context."""
    span = trace.get_current_span()
    context = span.get_span_context()
    parent = getattr(span, "parent", None)
    say(
        "message",
        transport=message.transport,
        fields=message.fields,
        body=message.body.decode("utf-8", "replace"),
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{parent.span_id:016x}" if parent else None,
        links=[f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in getattr(span, "links", ())],
        sampled=context.trace_flags.sampled,
        tracestate=context.trace_state.to_header(),
        baggage={key: str(value) for key, value in baggage.get_all().items()},
    )
