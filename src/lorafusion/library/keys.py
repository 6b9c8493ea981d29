"""Keys: texts as unit vectors, computed once.

Choi, Im and Sung, "LoRA Fusion", Mathematics 2024, 12, 3474, section 3.2: "The LoRA key vectors are
precomputed and stored".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from lorafusion.errors import RunError
from lorafusion.library.store import KeyStore


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into vectors that can be compared by their angle."""

    @property
    def id(self) -> str:
        """Name and fingerprint; another one whenever the vectors would differ.

        An empty id says that no fingerprint can be had: nothing is then stored.
        """

    def encode(self, texts: Sequence[str]) -> ArrayLike:
        """One row a text: [n, d], each of length 1; a tensor, an array, or what numpy makes one of."""


def key_vectors(
    texts: Sequence[str], encoder: Encoder, store: KeyStore
) -> Float[np.ndarray, "n d"]:
    """The vectors of texts, from the store or else from the encoder: [n, d] for n >= 1 texts.

    Raises:
        RunError: the encoder answered with something else than one finite vector a text.
    """
    ident = encoder.id  # a fingerprint takes a moment
    known = store.read(ident, texts)
    missing = [text for text in dict.fromkeys(texts) if text not in known]
    fresh = {text: encode_alone(text, encoder) for text in missing}
    if fresh:
        store.write(ident, fresh)
    vectors = known | fresh
    if len({len(vector) for vector in vectors.values()}) > 1:
        # Only a damaged store answers with another width than the encoder that it was filled by.
        vectors = {text: encode_alone(text, encoder) for text in dict.fromkeys(texts)}
        store.write(ident, vectors)
    return np.stack([vectors[text] for text in texts])


class Remembered:
    """The key vectors of some texts, remembered for the encoder that was last asked."""

    def __init__(self) -> None:
        self._known: dict[str, Float[np.ndarray, "n d"]] = {}

    def of(self, texts: Iterable[str], encoder: Encoder) -> Float[np.ndarray, "n d"]:
        """As `key_vectors`, by the user's own store.

        Args:
            texts: the same at each call; looked at only where they are not remembered.
            encoder: one that has no id may be another one next time, and is asked each time.
        """
        ident = encoder.id
        if ident in self._known:
            return self._known[ident]
        keys = key_vectors(tuple(texts), encoder, KeyStore())
        if ident:
            self._known = {ident: keys}
        return keys


def encode_alone(text: str, encoder: Encoder) -> Float[np.ndarray, " d"]:
    """One text encoded by itself: [d], float32.

    The last bits of an encoder's answer depend on what else is in the batch. Alone, a key depends
    on its text only and not on which other keys happened to be missing from the store.

    Raises:
        RunError: the encoder answered with something else than one finite vector.
    """
    rows = rows_of(encoder.encode([text]))
    if rows.ndim != 2 or len(rows) != 1 or not np.isfinite(rows).all():
        raise RunError(
            f"encoder {encoder.id!r} answered {text!r} with shape {list(rows.shape)} or a value "
            f"that is not finite; expected one finite row"
        )
    return rows[0]


def rows_of(answer: ArrayLike) -> Float[np.ndarray, "*shape"]:
    """What an encoder answered, as float32; tensors of any device and precision too."""
    given: Any = answer
    if hasattr(given, "detach"):  # torch, which need not be imported to be read
        given = given.detach().cpu().float().numpy()
    return np.asarray(given, np.float32)
