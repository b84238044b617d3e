"""A web server that answers as a test says."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Answer:
    """Status, headers and body of one path; `Content-Length` is the body's unless it is among the headers.

    With `piece` an answer breaks off after so many bytes, and what is behind them can be asked for with a range.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    piece: int | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    """The headers of every request for it."""

    def to(self, headers: dict[str, str]) -> Answer:
        """What is sent to whoever asks with these headers."""
        self.asked.append(headers)
        if self.piece is None:
            return self
        total, start = len(self.body), int(headers.get("Range", "bytes=0-")[6:-1])
        said = self.headers | {"Content-Length": str(total - start)}
        if start:
            said["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        return Answer(self.body[start : start + self.piece], 206 if start else 200, said)


@contextlib.contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[str]:
    """The server's address, for as long as the context lasts; every other path is not found."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0], Answer(status=404)).to(dict(self.headers))
            self.send_response_only(answer.status)
            if "Date" not in answer.headers:
                self.send_header("Date", self.date_time_string())
            for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
