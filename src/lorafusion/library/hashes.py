"""Hashes of files, worked out once for each state of a file, and duplicates found by them."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from lorafusion.errors import UnreadableFile
from lorafusion.library.index import Index
from lorafusion.library.listing import Listed

Kind: TypeAlias = Literal["file", "tensors"]
"""The whole file; or what follows its header, so that edited metadata do not count (the web
interfaces call the beginning of that one AutoV3)."""


def known_hashes(files: Iterable[Listed], index: Index, kind: Kind = "file") -> dict[str, str]:
    """Location -> sha256 in hexadecimal, of those files for which it has been worked out before."""
    paths = {_absolute(file): file for file in files}
    found = index.hashes(kind, {path: file.stamp for path, file in paths.items()})
    return {paths[path].location: text for path, text in found.items()}


def hashed(files: Sequence[Listed], index: Index, kind: Kind = "file") -> dict[str, str]:
    """Location -> sha256 in hexadecimal; files that have not changed are not read again.

    Raises:
        UnreadableFile: a file is gone or cannot be read.
    """
    known = known_hashes(files, index, kind)
    for file in files:
        if file.location not in known:
            known[file.location] = _sha256(file.path, kind)
            index.keep_hash(kind, _absolute(file), file.stamp, known[file.location])
    return known


def duplicates(files: Iterable[Listed], index: Index) -> list[tuple[Listed, ...]]:
    """Groups of files with the same tensors under any name and metadata.

    Only files that a few blocks cannot tell apart are read whole.

    Raises:
        UnreadableFile: a file is gone or cannot be read.
    """
    alike = _groups((file.reading.sample, file) for file in files if file.reading.sample)
    near = [file for group in alike for file in group]
    found = hashed(near, index, "tensors")
    return _groups(((file.reading.sample, found[file.location]), file) for file in near)


def _groups(pairs: Iterable[tuple[Hashable, Listed]]) -> list[tuple[Listed, ...]]:
    """Those that share their first with another, in the order they came in."""
    groups: dict[Hashable, list[Listed]] = defaultdict(list)
    for key, file in pairs:
        groups[key].append(file)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _absolute(file: Listed) -> str:
    """As the index has it."""
    if os.path.isabs(file.location):  # noqa: PTH117 - a Path for each of ten thousand takes a while
        return file.location
    return str(file.path.absolute())


def _sha256(path: Path, kind: Kind) -> str:
    try:
        with path.open("rb") as file:
            if kind == "tensors":
                file.seek(8 + int.from_bytes(file.read(8), "little"))
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be read ({error.strerror})") from error
