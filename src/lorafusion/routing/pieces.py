"""Pieces: what a tokenizer cuts texts into, without the libraries that load models."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def opened(path: Path) -> Any:
    """The tokenizer in a file of the package tokenizers, which fills nothing up.

    Raises:
        Exception: whatever that package raises.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    return tokenizer


def whole_words(tokenizer: Any) -> frozenset[str]:
    """The words that a tokenizer knows as one piece, in lower case; none where it cannot say."""
    pieces: dict[str, int] = getattr(tokenizer, "get_vocab", dict)()
    marks = ("</w>", "\u2581", "\u0120")  # the end or the beginning of a word
    marked = [piece for piece in pieces if piece.startswith(marks) or piece.endswith(marks)]
    plain = marked or [piece for piece in pieces if not piece.startswith("##")]
    words = (piece.removesuffix(marks[0]).lstrip("".join(marks[1:])) for piece in plain)
    return frozenset(word.casefold() for word in words if word.isalpha())
