"""Memo: an encoder that remembers, so that many routers can be measured in one run.

Only answers are measured through it; times are measured with the encoder itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lorafusion.library.keys import rows_of
from lorafusion.routing import Encoder


class Memo:
    """The same vectors as another encoder's, each computed once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Float[np.ndarray, " d"]] = {}
        self._quickly: dict[str, Float[np.ndarray, " d"]] = {}
        self.id = encoder.id

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """One row a text: [n, d]."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if fresh:
            self._known.update(zip(fresh, rows_of(self._encoder.encode(fresh)), strict=True))
        return np.stack([self._known[text] for text in texts])

    def quick(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """The same of the encoder's other way, where it has one."""
        encode = getattr(self._encoder, "quick", self._encoder.encode)
        fresh = [text for text in dict.fromkeys(texts) if text not in self._quickly]
        if fresh:
            self._quickly.update(zip(fresh, rows_of(encode(fresh)), strict=True))
        return np.stack([self._quickly[text] for text in texts])

    def __getattr__(self, name: str) -> object:
        """What else the encoder has: routers may ask for its tokenizer or its window."""
        return getattr(self._encoder, name)
