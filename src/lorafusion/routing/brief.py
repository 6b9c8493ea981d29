"""Brief: what was found out about a sentence encoder's folder when its model was last loaded.

Loading a model through its libraries takes seconds, most of them for importing these. For short texts
`Packed` needs the weights and the tokenizer only, and the encoder's name, its fingerprint, which the
libraries had to tell once. It is believed as long as no file of the folder and no version has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lorafusion.library.cachefolder import cache_folder

FILE = "encoders.json"
MOST = 32
"""Folders that are remembered: the last ones."""
_PACKAGES = ("lorafusion", "sentence-transformers", "transformers", "tokenizers", "torch")


@dataclass(frozen=True)
class Brief:
    """What `Packed` cannot read off weights and tokenizer.

    Attributes:
        ident: the encoder's id.
        heads: of attention.
        epsilon: of the norms.
    """

    ident: str
    heads: int
    epsilon: float


def brief_of(folder: Path) -> Brief | None:
    """What is known of a folder in its present state; None where nothing is."""
    try:
        found = _read(cache_folder() / FILE)[_state(folder)]
        return Brief(str(found["ident"]), int(found["heads"]), float(found["epsilon"]))
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):
        return None


def remember(folder: Path, brief: Brief) -> None:
    """Store what was found out; where that cannot be, it is found out again next time."""
    with suppress(OSError, RuntimeError):
        path = cache_folder() / FILE
        known = _read(path)
        known.pop(state := _state(folder), None)
        kept = dict(list(known.items())[1 - MOST :]) | {state: asdict(brief)}
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            beside.write_text(json.dumps(kept), encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _state(folder: Path) -> str:
    """A hash of the folder's files, by size and time, and of the versions that read them.

    Raises:
        OSError: the folder cannot be looked at.
    """
    parts = [str(folder.resolve())]
    for here, _, names in sorted(os.walk(folder.resolve())):
        for name in sorted(names):
            seen = (Path(here) / name).stat()
            parts.append(f"{here} {name} {seen.st_size} {seen.st_mtime_ns}")
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            parts.append(f"{package} {metadata.version(package)}")
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
