"""HTTP: a WSGI server of the standard library, and requests."""

import threading
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import requests
from opentelemetry.propagators.textmap import DefaultGetter
from opentelemetry.trace import SpanKind

from . import telemetry
from .message import Message, say_received


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Source:
    """`HOST:PORT`, or nothing for a free port of the loopback address; `ready` reports it."""

    def __init__(self, address, _options):
        host, _, port = (address or "127.0.0.1:0").rpartition(":")
        self.handle = None
        application = self._application
        if telemetry.instrumented:
            from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

            application = OpenTelemetryMiddleware(self._instrumented)
        self.server = make_server(host, int(port), application, handler_class=QuietHandler)

    def run(self, handle, stop, ready):
        self.handle = handle
        host, port = self.server.server_address
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        ready({"url": f"http://{host}:{port}"})
        stop.wait()
        self.server.shutdown()
        self.server.server_close()

    def _application(self, environ, start_response):
        message = self._message(environ)
        carrier = {}
        for name, value in message.fields:
            carrier.setdefault(name, []).append(value)
        attributes = {
            "http.request.method": environ["REQUEST_METHOD"],
            "url.path": environ["PATH_INFO"],
            "url.scheme": environ["wsgi.url_scheme"],
            "server.address": environ["SERVER_NAME"],
            "server.port": int(environ["SERVER_PORT"]),
            "http.response.status_code": 200,
        }
        name = environ["REQUEST_METHOD"]
        with telemetry.receiving(name, SpanKind.SERVER, carrier, DefaultGetter(), attributes):
            return self._answer(message, start_response)

    def _instrumented(self, environ, start_response):
        return self._answer(self._message(environ), start_response)

    def _answer(self, message, start_response):
        say_received(message)
        self.handle(message)
        start_response("200 OK", [("content-type", "text/plain")])
        return [b"ok"]

    def _message(self, environ):
        fields = [
            (key[5:].lower().replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_")
        ]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return Message("http", body, fields)


class Target:
    def __init__(self, url, _options):
        self.url = url

    def send(self, body):
        headers = {}
        if telemetry.instrumented:
            self._post(body, headers)
            return
        parts = urlsplit(self.url)
        attributes = {
            "http.request.method": "POST",
            "url.full": self.url,
            "server.address": parts.hostname,
            "server.port": parts.port or 80,
            "http.response.status_code": 200,
        }
        with telemetry.sending("POST", SpanKind.CLIENT, headers, None, attributes):
            self._post(body, headers)

    def _post(self, body, headers):
        requests.post(self.url, data=body, headers=headers, timeout=15).raise_for_status()
