"""Files of scorers: tensors, and what their numbers mean as JSON in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lorafusion.errors import UnreadableFile

FOLDER = Path(__file__).parents[1] / "weights" / "scorers"
_KEY = "lorafusion.scorer"


def read(name: str, folder: Path | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of one file in float32, and its settings.

    Args:
        name: "eye", "clip" or "naturalness".
        folder: where the files are; None for those that ship.

    Raises:
        UnreadableFile: missing, cut short, or written by something else.
    """
    path = (folder or FOLDER) / f"{name}.safetensors"
    try:
        with safe_open(path, "pt") as file:
            settings = json.loads((file.metadata() or {})[_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no iterator
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UnreadableFile(
            f"the scorer {path} cannot be read ({type(error).__name__}); install lorafusion again, "
            "or train it: python -m recipes.pocket --steps scorers --work FOLDER"
        ) from error
    wide = {key: t.float() if t.is_floating_point() else t for key, t in tensors.items()}
    return wide, settings


def write(
    name: str, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], folder: Path
) -> Path:
    """Write one file, floating-point tensors in float16, all or nothing."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    lean = {
        key: (t.half() if t.is_floating_point() else t).contiguous() for key, t in tensors.items()
    }
    draft = path.with_suffix(".part")
    save_file(lean, draft, metadata={"format": "pt", _KEY: json.dumps(dict(settings))})
    draft.chmod(0o644)
    draft.replace(path)
    return path


def finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether float16 holds all of them."""
    return all(bool(torch.isfinite(t.half()).all()) for t in tensors.values())
