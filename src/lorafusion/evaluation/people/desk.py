"""Desk: the local server of the rating page. It listens on this machine alone."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lorafusion.errors import InputError
from lorafusion.evaluation.judge.protocol import plain_png
from lorafusion.evaluation.people.store import Store
from lorafusion.evaluation.people.tasks import AXES, Item, checked, in_order

HOST = "127.0.0.1"
LONGEST = 10_000
"""Bytes of the longest answer."""
_PAGE = Path(__file__).with_name("desk.html")


class Desk:
    """Serves the page, images without names, and keeps what is said.

    Args:
        items: what is to be rated.
        store: where answers go.
        port: 0 for any that is free.

    Attributes:
        url: of the page.
    """

    def __init__(self, items: Sequence[Item], store: Store, port: int = 0) -> None:
        self._items = {item.name: item for item in items}
        self._store = store
        # Addresses must not say which method made an image, nor be the same for another server.
        salt = secrets.token_bytes(16)
        self._tokens: dict[str, Path] = {}
        self._token_of: dict[str, str] = {}
        for item in items:
            for cell, path in zip(item.cells, item.paths, strict=True):
                token = hashlib.sha256(salt + cell.encode()).hexdigest()[:24]
                self._tokens[token], self._token_of[cell] = path, token
        self._server = ThreadingHTTPServer((HOST, port), partial(_Handler, self))
        self.url = f"http://{HOST}:{self._server.server_address[1]}/"

    def serve(self) -> None:
        """Answer until `close` is called from another thread."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def next(self, rater: str) -> dict[str, Any]:
        """What a rater is to be shown next; no item when all is done.

        Raises:
            BadOption: a name that is no file name.
        """
        said = self._store.answers(rater)
        order = in_order(list(self._items.values()), rater)
        left = [item for item in order if item.name not in said]
        told: dict[str, Any] = {"done": len(order) - len(left), "all": len(order), "item": None}
        if left:
            item = left[0]
            told["item"] = {
                "id": hashlib.sha256(item.name.encode()).hexdigest()[:16],
                "prompt": item.prompt,
                "elements": item.elements,
                "axes": AXES,
                "images": [f"/image/{self._token_of[cell]}" for cell in item.shown(rater)],
            }
        return told

    def rate(self, rater: str, ident: str, answers: dict[str, str]) -> None:
        """Keep what a rater said of an item.

        Raises:
            BadOption: no such item, or no such answer.
        """
        names = {hashlib.sha256(name.encode()).hexdigest()[:16]: name for name in self._items}
        item = self._items.get(names.get(ident, ""))
        if item is None:
            raise InputError(f"there is no item {ident!r}; load the page again")
        said = checked(item, answers)
        if item.swapped(rater):
            turned = {"left": "right", "right": "left", "tie": "tie"}
            said = {axis: turned[side] for axis, side in said.items()}
        if len(item.cells) == 2:
            winner = {"left": item.methods[0], "right": item.methods[1], "tie": "tie"}
            said = {axis: winner[side] for axis, side in said.items()}
        self._store.add(rater, item.name, said)

    def image(self, token: str) -> bytes | None:
        """The pixels of an image, without its Record."""
        path = self._tokens.get(token)
        return None if path is None else plain_png(path)


class _Handler(BaseHTTPRequestHandler):
    """One request to a desk; answered while it is made, as `http.server` has it."""

    def __init__(self, desk: Desk, *request: Any) -> None:
        self._desk = desk
        super().__init__(*request)

    def do_GET(self) -> None:
        """The page, the next item, or an image."""
        parts = urlsplit(self.path)
        if not self._is_ours():
            return
        if parts.path == "/":
            self._send(200, "text/html; charset=utf-8", _PAGE.read_bytes())
        elif parts.path == "/next":
            rater = parse_qs(parts.query).get("rater", [""])[0]
            self._json(lambda: self._desk.next(rater))
        elif parts.path.startswith("/image/"):
            data = self._desk.image(parts.path.removeprefix("/image/"))
            if data is None:
                self._send(404, "text/plain", b"no such image")
            else:
                self._send(200, "image/png", data)
        else:
            self._send(404, "text/plain", b"nothing here")

    def do_POST(self) -> None:
        """An answer."""
        told = self.headers.get("Content-Length") or ""
        length = int(told) if told.isdecimal() else 0
        kind = self.headers.get("Content-Type", "")
        # Other sites' pages can post plain forms here, but not JSON.
        if not self._is_ours() or self.path != "/rate" or not 0 < length <= LONGEST:
            self._send(404, "text/plain", b"nothing here")
            return
        if kind != "application/json":
            self._send(415, "text/plain", b"send JSON")
            return
        body = self.rfile.read(length)

        def rate() -> dict[str, Any]:
            try:
                said = json.loads(body)
                rater, ident, answers = (said[key] for key in ("rater", "id", "answers"))
                pairs = {str(axis): str(value) for axis, value in answers.items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InputError("an answer is JSON with rater, id and answers") from None
            self._desk.rate(str(rater), str(ident), pairs)
            return self._desk.next(str(rater))

        self._json(rate)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as in http.server
        """Nothing: requests name raters."""

    def _is_ours(self) -> bool:
        """Whether the page was asked for by this machine's name, not through another's."""
        host = (self.headers.get("Host") or "").partition(":")[0]
        if host in (HOST, "localhost"):
            return True
        self._send(403, "text/plain", b"ask 127.0.0.1")
        return False

    def _json(self, make: Any) -> None:
        try:
            status, content = 200, make()
        except InputError as error:
            status, content = 400, {"error": str(error)}
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)
