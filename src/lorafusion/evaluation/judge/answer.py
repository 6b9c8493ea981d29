"""Answer: what an asker returns, and what an asker is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Answer:
    """One answer of a model, or none after all tries.

    Attributes:
        text: what it said; None when no answer came.
        troubles: what went wrong on the way, a word for each failed try.
        tokens_in: as the server counted them; 0 when it did not.
        tokens_out: likewise.
        cached: whether it was asked before, and so cost nothing now.
    """

    text: str | None
    troubles: tuple[str, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    cached: bool = False


@runtime_checkable
class Asker(Protocol):
    """Something that can be shown images and asked about them."""

    @property
    def id(self) -> str:
        """Everything that decides its answers, in one line: the model and its settings."""

    def ask(self, text: str, images: Sequence[bytes]) -> Answer:
        """Show PNG images and ask.

        Raises:
            RunError: nothing can be asked of it at all: a wrong key, model or address.
        """
