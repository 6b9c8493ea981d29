"""Rings: what was found out about the keys of a large library beside ordinary phrases, kept between runs.

It is a few billion products for ten thousand LoRAs, and the same as long as keys and phrases are. Stored
under a hash of both; whatever goes wrong, it is worked out anew.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lorafusion.library.cachefolder import cache_folder

FOLDER = "rings"
LEAST = 2000
"""Keys from which on reading a file is quicker than working it out."""
MOST = 4
"""Files that are kept: the last ones used; a library of ten thousand takes two megabytes."""


@dataclass(frozen=True, eq=False)
class Against:
    """The keys of a library beside o ordinary phrases.

    Attributes:
        mean: of the cosines of each key with its nearest phrases, [k].
        deviation: of the same, [k].
        asking: which phrases ask for which LoRA, [n, o].
    """

    mean: Float[Tensor, " k"]
    deviation: Float[Tensor, " k"]
    asking: Bool[Tensor, "n o"]


def against(parts: tuple[Tensor, ...], work_out: Callable[[], Against]) -> Against:
    """What is stored for these very tensors, or else what `work_out` finds, stored for the next time.

    Args:
        parts: all that the answer depends on: keys first, the phrases' vectors second, then the rest.
        work_out: makes it.
    """
    if len(parts[0]) < LEAST:
        return work_out()
    try:
        path = cache_folder() / FOLDER / f"{_digest(parts)}.npz"
    except RuntimeError:  # no home folder
        return work_out()
    found = _read(path, len(parts[0]), len(parts[1]))
    if found is None:
        found = work_out()
        with suppress(OSError):
            _write(path, found)
    return found


def _digest(parts: tuple[Tensor, ...]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(f"{part.dtype} {list(part.shape)}".encode())
        digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()


def _read(path: Path, keys: int, phrases: int) -> Against | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            mean, deviation, bits = stored["mean"], stored["deviation"], stored["asking"]
        asking = np.unpackbits(bits, axis=1, count=phrases).astype(bool)
        if mean.shape != (keys,) or deviation.shape != (keys,):
            return None
        path.touch()
        return Against(*map(torch.from_numpy, (mean, deviation, asking)))
    except Exception:  # a damaged file makes numpy, zipfile and zlib raise errors of many kinds
        return None


def _write(path: Path, found: Against) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with beside.open("xb") as file:
            np.savez(
                file,
                mean=found.mean.numpy(),
                deviation=found.deviation.numpy(),
                asking=np.packbits(found.asking.numpy(), axis=1),
            )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    for old in sorted(path.parent.glob("*.npz"), key=lambda each: -each.stat().st_mtime_ns)[MOST:]:
        old.unlink(missing_ok=True)
