"""Where everything that can be made again is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$LORAFUSION_CACHE``, else ``lorafusion`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``.

    Raises:
        RuntimeError: the user has no home folder and names no other.
    """
    if own := os.environ.get("LORAFUSION_CACHE"):
        return Path(own).expanduser()
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification says that a relative path is to be ignored.
    return (given if given.is_absolute() else Path.home() / ".cache") / "lorafusion"
