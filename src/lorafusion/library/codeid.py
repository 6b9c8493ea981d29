"""Code id: what of this package made something that is stored, so that other code makes it anew."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from lorafusion.version import __version__


@lru_cache
def code_id(*packages: str) -> str:
    """Another one whenever the version or a file of these packages of lorafusion is another."""
    root = Path(__file__).parents[1]
    parts = [__version__]
    for package in packages:
        for path in sorted((root / package).glob("*.py")):
            seen = path.stat()
            parts.append(f"{path.name} {seen.st_size} {seen.st_mtime_ns}")
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
