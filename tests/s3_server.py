"""A real S3 API on the loopback interface that can be told to fail: moto's server behind a door of our own."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Iterator
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.s3_credentials import SECRET

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BUCKET = "bucket"


class Quiet(WSGIRequestHandler):
    """Says nothing about each request."""

    def log_request(self, *_: object) -> None:
        """Say nothing."""


class S3Server:
    """Serves S3 at a port, keeps a list of requests, and fails on demand."""

    def __init__(self, port: int) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", port, self._answer, threaded=True, request_handler=Quiet)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Empty the bucket and mend everything."""
        self.requests: list[tuple[str, str]] = []
        """Method and path with query, in order."""
        self.is_down = False
        """Every request fails, and the answer repeats the secret."""
        self.failing_share = 0.0
        """So many of the requests fail, at random."""
        self.drops_left = 0
        """So many times the connection is dropped in the middle of a shard that is read."""
        self.cuts_left = 0
        """So many times half of a shard is kept, and all of it acknowledged."""
        self._random = random.Random(0)
        backend: Any = s3_backends["123456789012"]["aws"]
        backend.reset()
        backend.create_bucket(BUCKET, "us-east-1")

    def __enter__(self) -> S3Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self.requests.append((method, f"{path}?{environ['QUERY_STRING']}"))
            fails = self.is_down or self._random.random() < self.failing_share
            cuts = self.cuts_left > 0 and method == "PUT" and path.endswith(".tar")
            self.cuts_left -= cuts
            drops = self.drops_left > 0 and method == "GET" and path.endswith(".tar")
            self.drops_left -= drops
        if fails:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("400 Bad Request", [("Content-Type", "application/xml")])
            return [f"<Error><Code>Broken</Code><Message>broken for {SECRET}</Message></Error>".encode()]
        if cuts:
            half = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))[: int(environ["CONTENT_LENGTH"]) // 2]
            environ |= {"wsgi.input": io.BytesIO(half), "CONTENT_LENGTH": str(len(half))}
        answer: Iterable[bytes] = self._app(environ, start)
        return dropped(answer) if drops else answer


def dropped(answer: Iterable[bytes]) -> Iterator[bytes]:
    """Half of an answer; then the connection is lost."""
    data = b"".join(answer)
    yield data[: len(data) // 2]
    raise ConnectionResetError("dropped on purpose")
