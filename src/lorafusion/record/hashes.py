"""The short name by which model sites know a LoRA file."""

from __future__ import annotations

import hashlib
from pathlib import Path

CHUNK = 1 << 20


def autov3(path: Path) -> str:
    """AutoV3: first 12 hex digits of the sha256 of a safetensors file behind its header.

    The header is left out so that edited metadata do not change the name. Its length is the file's
    first eight bytes, little endian. Source: ``addnet_hash_safetensors`` of kohya's sd-scripts,
    ``sshs_model_hash``.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        file.seek(8 + length)
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()[:12]
