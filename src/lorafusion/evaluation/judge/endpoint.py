"""Endpoint: a model behind any OpenAI-compatible server, asked with patience.

The key comes from an environment variable and goes into one header; it is in no message and no file.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lorafusion.errors import BadOption, RunError
from lorafusion.evaluation.judge.answer import Answer
from lorafusion.evaluation.judge.rubric import SCHEMA

RATE, SERVER, TIMEOUT, CONNECTION, BROKEN = (
    "rate limit", "server error", "timeout", "no connection", "broken JSON",
)  # fmt: skip
"""Troubles after which it is asked again."""
LONGEST = 60.0
"""Seconds of the longest wait between two tries."""


@dataclass
class Endpoint:
    """A chat model with eyes behind ``<url>/chat/completions``.

    Attributes:
        url: up to and with the version, such as "http://localhost:8000/v1".
        model: as the server calls it.
        key_from: environment variable that holds the key; without it none is sent.
        temperature: 0 for the most likely answer.
        max_tokens: of an answer.
        timeout: seconds until a try is given up.
        tries: how often a question is asked, at most.
        sleep: waits; a test gives its own.

    Raises:
        BadOption: not an http or https address, or a number out of its range.
    """

    url: str
    model: str
    key_from: str = "OPENAI_API_KEY"
    temperature: float = 0.0
    max_tokens: int = 1024
    timeout: float = 120.0
    tries: int = 5
    sleep: Callable[[float], object] = time.sleep
    _structured: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise BadOption("url is no address; give one such as http://localhost:8000/v1")
        if self.tries < 1 or self.timeout <= 0 or self.max_tokens < 1:
            raise BadOption("tries, timeout and max_tokens must be over 0")

    @property
    def id(self) -> str:
        """The model and its settings."""
        return f"{self.model} temperature={self.temperature:g} max_tokens={self.max_tokens}"

    def ask(self, text: str, images: Sequence[bytes]) -> Answer:
        """As `Asker.ask`: tries again after a trouble that may pass, each time after a longer wait.

        Raises:
            BadOption: the key cannot be sent.
            RunError: the server refuses the key, the model or the question.
        """
        troubles: list[str] = []
        while len(troubles) < self.tries:
            trouble, wait, content = self._try(text, images)
            if content is not None:
                return _answer(content, tuple(troubles))
            if trouble is None:  # the server knows no structured output: the same again without
                continue
            troubles.append(trouble)
            if len(troubles) < self.tries:
                self.sleep(min(LONGEST, wait or 0.5 * 2 ** len(troubles)))
        return Answer(None, tuple(troubles))

    def _try(
        self, text: str, images: Sequence[bytes]
    ) -> tuple[str | None, float | None, dict[str, Any] | None]:
        """A trouble, how long the server asks to wait, and what it answered."""
        structured = self._structured
        try:
            status, wait, body = self._post(self._question(text, images, structured))
        except TimeoutError:
            return TIMEOUT, None, None
        except (OSError, http.client.HTTPException):
            return CONNECTION, None, None
        if status == 429:
            return RATE, wait, None
        if status in (400, 422) and structured:
            self._structured = False
            return None, None, None
        if status >= 500:
            # Some servers break over what they do not know instead of saying so.
            self._structured = False
            return SERVER, wait, None
        if status != 200:
            raise RunError(
                f"{self.url}: the server answered {status} to model {self.model!r}: "
                f"{self._line(body)}; check the address, the model's name and the key in ${self.key_from}"
            )
        content = _parsed(body)
        return (None, None, content) if content is not None else (BROKEN, None, None)

    def _question(self, text: str, images: Sequence[bytes], structured: bool) -> dict[str, Any]:
        shown = [
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{base64.b64encode(one).decode()}"},
            }
            for one in images
        ]
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": [{"type": "text", "text": text}, *shown]}],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        if structured:
            schema = {"name": "marks", "strict": True, "schema": SCHEMA}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _post(self, body: dict[str, Any]) -> tuple[int, float | None, str]:
        parts = urlsplit(self.url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        assert parts.hostname is not None
        connection = kind(parts.hostname, parts.port, timeout=self.timeout)
        headers = {"Content-Type": "application/json"}
        if key := self._key():
            headers["Authorization"] = f"Bearer {key}"
        try:
            path = f"{parts.path.rstrip('/')}/chat/completions"
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            return response.status, _seconds(response.getheader("Retry-After")), text
        finally:
            connection.close()

    def _key(self) -> str:
        """From the environment, without the end of line that a file leaves; its text is never told."""
        key = os.environ.get(self.key_from, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise BadOption(
                f"the key in ${self.key_from} holds characters that cannot be sent; set it anew"
            )
        return key

    def _line(self, text: str) -> str:
        """What a server says, short; without the key, which some repeat."""
        key = self._key()
        return " ".join((text.replace(key, "[key]") if key else text).split())[:200]


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        sound = parts.port is None or parts.port > 0  # a port that cannot be raises
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        return sound and known and not parts.username
    except ValueError:  # a host in half a bracket
        return False


def _parsed(body: str) -> dict[str, Any] | None:
    """The answer's message and usage; None for anything that has none."""
    try:
        content = json.loads(body)
        message = content["choices"][0]["message"]
    except (ValueError, LookupError, TypeError):
        return None
    if not isinstance(message, dict):
        return None
    usage = content.get("usage")
    return {"message": message, "usage": usage if isinstance(usage, dict) else {}}


def _answer(content: dict[str, Any], troubles: tuple[str, ...]) -> Answer:
    message, usage = content["message"], content["usage"]
    text = message.get("content") or message.get("refusal") or ""
    return Answer(
        str(text),
        troubles,
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None  # a date; our own wait will do
