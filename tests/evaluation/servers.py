"""A chat server that misbehaves on purpose, one behaviour a request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = json.dumps(
    {
        "image_1": {"reason": "all there", "composition": 8.5, "quality": 9},
        "image_2": {"reason": "no crown", "composition": 6, "quality": 7.5},
    }
)


class Misbehaving:
    """Answers with `script`, one entry a request, then with GOOD for ever.

    An entry is a text to say, an HTTP status, "slow" for no answer in time, "cut" for a connection
    that ends, or "junk" for a body that is no JSON.
    """

    def __init__(self, script: list[str | int]) -> None:
        self.script = list(script)
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.url = ""


@contextmanager
def misbehaving(*script: str | int) -> Iterator[Misbehaving]:
    state = Misbehaving(list(script))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.seen.append(json.loads(body))
            state.keys.append(self.headers.get("Authorization"))
            assert self.path == "/v1/chat/completions"
            act = state.script.pop(0) if state.script else GOOD
            if act == "slow":
                time.sleep(0.6)
            if act in ("slow", "cut"):
                self.close_connection = True
                return
            status = act if isinstance(act, int) else 200
            message = {"role": "assistant", "content": act}
            told = {
                "choices": [{"message": message}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20},
            }
            data = b"<html>" if act == "junk" else json.dumps(told).encode()
            if status == 401:
                data = f"wrong key: {state.keys[-1]}".encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "7")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
