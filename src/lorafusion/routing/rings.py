"""Rings: what was found out about the keys of a large library, kept between runs.

Words of ten thousand LoRAs, their keys, and how these stand beside ordinary phrases, which is a few billion
products, are the same as long as the LoRAs' texts are. They are stored under a hash of these and mapped into
memory; whatever is wrong with a file, it is worked out anew.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from lorafusion.library.cachefolder import cache_folder
from lorafusion.library.codeid import code_id
from lorafusion.routing.called import Called
from lorafusion.routing.mapped import mapped

T = TypeVar("T")
Arrays = Mapping[str, Shaped[np.ndarray, "..."]]

FOLDER = "rings"
MOST = 6
"""Files that are kept: the last ones used; each is a little larger than the keys in it."""
LARGE = frozenset({"keys", "said"})
"""Arrays that are not checked against a sum, since they would have to be read whole."""


@dataclass(frozen=True, eq=False)
class Ring:
    """The k keys of n LoRAs beside o ordinary phrases.

    Attributes:
        texts: of the keys, [k].
        keys: their vectors, [k, d].
        columns: the first key of each LoRA, the second, and so on, [m, n].
        keyless: LoRAs that have none.
        exact: LoRAs by the words of a key, without small words and endings.
        literal: LoRAs by all words of a key.
        framing: words that else only frame a phrase, but name a LoRA here.
        vocabulary: the words of all keys, without endings, sorted.
        phrases: parts of the keys that a prompt may well say, [p].
        said: their vectors, [p, d].
        mean: of the cosines of each key with its nearest phrases, [k].
        deviation: of the same, [k].
        asking: which phrases ask for which LoRA themselves, [o, n].
    """

    texts: Sequence[str]
    keys: Float[np.ndarray, "k d"]
    columns: Int[np.ndarray, "m n"]
    keyless: Int[np.ndarray, " j"]
    exact: Called
    literal: Called
    framing: Sequence[str]
    vocabulary: Sequence[str]
    phrases: Sequence[str]
    said: Float[np.ndarray, "p d"]
    mean: Float[np.ndarray, " k"]
    deviation: Float[np.ndarray, " k"]
    asking: Bool[np.ndarray, "o n"]

    def arrays(self) -> Arrays:
        """What is stored."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        lists = {name: _letters("\n".join(getattr(self, name))) for name in _LISTS}
        tables: dict[str, Shaped[np.ndarray, "..."]] = {}
        for name in _TABLES:
            table: Called = getattr(self, name)
            tables |= {f"{name}.starts": table.starts, f"{name}.owners": table.owners}
            tables[f"{name}.words"] = _letters(table.words)
        return plain | lists | tables | {"asking": np.packbits(self.asking, axis=1)}

    @classmethod
    def of(cls, arrays: Arrays) -> Ring:
        """The inverse of `arrays`.

        Raises:
            KeyError, ValueError: they are not those of a ring.
        """
        told: dict[str, Any] = {name: arrays[name] for name in _PLAIN}
        told |= {name: [*filter(None, _text(arrays[name]).split("\n"))] for name in _LISTS}
        for name in _TABLES:
            words = _text(arrays[f"{name}.words"])
            told[name] = Called(words, arrays[f"{name}.starts"], arrays[f"{name}.owners"])
        count = arrays["columns"].shape[1]
        told["asking"] = np.unpackbits(arrays["asking"], axis=1, count=count).view(bool)
        even = len(told["texts"]) == len(told["keys"]) == len(told["mean"])
        if not even or len(told["phrases"]) != len(told["said"]):
            raise ValueError("a ring of several lengths")
        return cls(**told)


_PLAIN = ("keys", "said", "columns", "keyless", "mean", "deviation")
_LISTS = ("texts", "framing", "vocabulary", "phrases")
_TABLES = ("exact", "literal")


def mark(*parts: object) -> str:
    """A hash of all that an answer depends on, the code that finds it among them."""
    told = json.dumps([code_id("library", "routing"), *parts])
    return blake2b(told.encode(), digest_size=16).hexdigest()


def kept(
    name: str,
    work_out: Callable[[], T],
    pack: Callable[[T], Arrays],
    unpack: Callable[[Arrays], T],
) -> T:
    """What is stored under a mark, or else what `work_out` finds, stored for the next time.

    Args:
        name: as `mark` gives it; "" for what cannot be known again.
        work_out: makes the answer.
        pack: the arrays of an answer: float32, int64 and uint8.
        unpack: the inverse of it.
    """
    if not name:
        return work_out()
    try:
        path = cache_folder() / FOLDER / f"{name}.safetensors"
    except RuntimeError:  # no home folder
        return work_out()
    with suppress(Exception):  # a damaged file makes readers raise errors of many kinds
        arrays, told = mapped(path)
        if told["check"] == _sum(arrays):
            found = unpack(arrays)
            path.touch()
            return found
    found = work_out()
    with suppress(OSError):
        _write(path, pack(found))
    return found


def _sum(arrays: Arrays) -> str:
    """Of all arrays but the large ones, which only have to be whole."""
    total = 0
    for name in sorted(arrays.keys() - LARGE):
        total = zlib.crc32(np.ascontiguousarray(arrays[name]).view(np.uint8).data, total)
    return str(total)


def _write(path: Path, arrays: Arrays) -> None:
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(whole, beside, {"check": _sum(whole)})
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    others = sorted(path.parent.glob("*.*"), key=lambda each: -each.stat().st_mtime_ns)
    for old in others[MOST:]:
        old.unlink(missing_ok=True)


def _letters(text: str) -> Shaped[np.ndarray, " b"]:
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)


def _text(letters: Shaped[np.ndarray, " b"]) -> str:
    return letters.tobytes().decode("utf-8", "surrogatepass")
