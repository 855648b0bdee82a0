"""python -m bridge --from SOURCE --to TARGET

SOURCE   kafka:TOPIC | rabbitmq:QUEUE | sqs:QUEUE | http[:HOST:PORT] | start (sends one message, as the trace's root)
TARGET   kafka:TOPIC | rabbitmq:QUEUE or EXCHANGE/KEY | sqs:QUEUE | URL | none (the trace ends here)

Writes lines of JSON to standard output: `ready`, `message` for each one received, `sent`, `failed`, `stopped`. Ends at the
end of its standard input, at SIGTERM, or after --count messages, so that it never outlives its test.
"""

import argparse
import os
import signal
import sys
import threading

from opentelemetry import baggage, context

from . import kafka, rabbitmq, sqs, telemetry, web
from .message import Message, say

TRANSPORTS = {"kafka": kafka, "rabbitmq": rabbitmq, "sqs": sqs, "http": web}


def arguments():
    parser = argparse.ArgumentParser(prog="bridge", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--from", dest="source", required=True)
    parser.add_argument("--to", dest="target", required=True)
    parser.add_argument("--instrumented", action="store_true", help="let OpenTelemetry's instrumentations do it all")
    parser.add_argument("--service", default="python-bridge")
    parser.add_argument("--group", default="python-bridge", help="the Kafka consumer group")
    parser.add_argument("--count", type=int, default=0, help="end after so many messages (0: never)")
    parser.add_argument("--body", default="{}", help="what `start` sends")
    parser.add_argument("--baggage", action="append", default=[], metavar="KEY=VALUE", help="what `start` puts in")
    parser.add_argument("--kafka", default=os.environ.get("KAFKA_BROKERS", "localhost:9092"))
    parser.add_argument("--amqp", default=os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f"))
    parser.add_argument("--sqs", default=os.environ.get("SQS_ENDPOINT_URL", "http://127.0.0.1:9324"))
    parser.add_argument("--otlp", default=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"), help="OTLP/HTTP, no path")
    return parser.parse_args()


def open_target(name, options):
    if name == "none":
        return None
    if name.startswith(("http://", "https://")):
        return web.Target(name, options)
    kind, _, rest = name.partition(":")
    return TRANSPORTS[kind].Target(rest, options)


def start_trace(target, options):
    """One message as the root of a trace, with baggage of its own."""
    within = context.get_current()
    for member in options.baggage:
        key, _, value = member.partition("=")
        within = baggage.set_baggage(key, value, within)
    token = context.attach(within)
    try:
        with telemetry.tracer().start_as_current_span("start"):
            target.send(options.body.encode())
            say("sent", target=options.target)
    finally:
        context.detach(token)


def wait_for_end_of_input(stop) -> None:
    # By descriptor: sys.stdin has a lock that would be held when the interpreter shuts down.
    while os.read(0, 4096):
        pass
    stop.set()


def main() -> int:
    options = arguments()
    provider = telemetry.start(options.service, options.otlp, options.instrumented)
    target = open_target(options.target, options)
    failed = False

    if options.source == "start":
        start_trace(target, options)
    else:
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        threading.Thread(target=wait_for_end_of_input, args=(stop,), daemon=True).start()
        handled = 0

        def handle(message: Message) -> None:
            nonlocal handled, failed
            try:
                if target:
                    target.send(message.body)
                    say("sent", target=options.target)
            except Exception as error:
                failed = True
                say("failed", error=str(error))
                raise
            finally:
                handled += 1
                if options.count and handled >= options.count:
                    stop.set()

        kind, _, rest = options.source.partition(":")
        source = TRANSPORTS[kind].Source(rest, options)
        source.run(handle, stop, lambda facts: say("ready", source=options.source, **facts))

    provider.shutdown()
    say("stopped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
