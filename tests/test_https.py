"""A request to an API ends in time, whatever the other side does."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from runbooklib import https
from runbooklib.https import SilentError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n"


@contextmanager
def answering(pieces: list[bytes], pause: float) -> Iterator[str]:
    """A server that sends one piece after the other."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            with suppress(OSError):
                for piece in pieces:
                    self.request.sendall(piece)
                    time.sleep(pause)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def ask() -> Iterator[Callable[..., str]]:
    with ExitStack() as stack:

        def asked(pieces: list[bytes], pause: float, patience: float = 20.0) -> str:
            url = stack.enter_context(answering(pieces, pause))
            return https.exchange("GET", url, https.trusting(None), patience, {}, direct=True).text

        yield asked


def test_an_answer_in_pieces_is_read_whole(ask: Callable[..., str]) -> None:
    assert ask([HEAD, b"some ", b"answer!"], 0.01) == "some answer!"


def test_an_answer_that_trickles_is_no_answer_in_time(ask: Callable[..., str]) -> None:
    started = time.monotonic()
    with pytest.raises(SilentError, match="no answer within"):
        ask([HEAD, *[b"."] * 200], 0.1, 0.4)
    assert time.monotonic() - started < 10
