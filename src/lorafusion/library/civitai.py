"""Civitai's JSON about a model version, as helpers of several programs store it beside the file.

Fields as in https://developer.civitai.com: ``model.name``, ``model.description``, ``trainedWords``,
``description``; descriptions are HTML.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from lorafusion.library.card import Card, sentence, words_of

LIMIT = 300
"""Characters of a description that are used: what follows is mostly advice and thanks, and text
encoders read 77 to 256 tokens only."""


def card_of_civitai(version: dict[str, Any]) -> Card:
    """Title, trained words and description; fields of another kind count as absent."""
    model = version.get("model")
    model = model if isinstance(model, dict) else {}
    triggers = words_of(*texts(version.get("trainedWords")))
    about = text(version.get("description")) or text(model.get("description"))
    return Card(
        text=sentence((text(model.get("name")), ", ".join(triggers), opening(plain(about)))),
        category=text(version.get("category")),
        triggers=triggers,
    )


def text(value: object) -> str:
    """A text without the space around it; empty for anything that is not text."""
    return value.strip() if isinstance(value, str) else ""


def texts(value: object) -> tuple[str, ...]:
    """The texts of a list; empty for anything that is not a list."""
    return tuple(filter(None, map(text, value))) if isinstance(value, list) else ()


def plain(html: str) -> str:
    """Text of HTML, without tags, scripts and runs of space."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    return " ".join("".join(reader.pieces).split())


def opening(about: str, limit: int = LIMIT) -> str:
    """At most `limit` characters from the beginning, cut between words."""
    if len(about) <= limit:
        return about
    return about[: limit + 1].rpartition(" ")[0] or about[:limit]


class _Text(HTMLParser):
    """Collects the text between tags; every tag but the inline ones parts words."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's signature
        self._hidden += tag in ("script", "style")
        self.pieces.append("" if tag in _INLINE else " ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style") and self._hidden > 0
        self.pieces.append("" if tag in _INLINE else " ")

    def handle_data(self, data: str) -> None:
        self.pieces.append("" if self._hidden else data)


_INLINE = frozenset({"a", "b", "code", "em", "i", "mark", "s", "span", "strong", "sub", "sup", "u"})
