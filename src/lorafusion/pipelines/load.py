"""Open a base model: a diffusers folder, a single safetensors checkpoint, or a model of the Hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lorafusion.errors import InputError, UnreadableFile

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

SINGLE_FILES = (
    ("conditioner.embedders.1.", "StableDiffusionXLPipeline"),
    ("model.diffusion_model.joint_blocks.", "StableDiffusion3Pipeline"),
    ("double_blocks.", "FluxPipeline"),
    ("model.diffusion_model.double_blocks.", "FluxPipeline"),
    ("model.diffusion_model.input_blocks.", "StableDiffusionPipeline"),
)
"""Start of a key in a checkpoint -> the pipeline class that it belongs to; the first that fits."""


def load(base: str, dtype: Any = None) -> Any:
    """Load a text-to-image pipeline.

    Args:
        base: a diffusers folder, a `.safetensors` checkpoint, or a Hub id such as "owner/model".
        dtype: torch dtype of the weights; float32 when None.

    Raises:
        UnreadableFile: nothing is there, or it is not a model; pickled checkpoints are refused unread.
    """
    import torch

    path = Path(base).expanduser()
    options = {"dtype": dtype or torch.float32, "use_safetensors": True}
    if path.is_dir():
        if not (path / "model_index.json").is_file():
            raise UnreadableFile(
                f"base {base!r} is a folder without model_index.json; give a diffusers model folder"
            )
        return _pretrained(str(path), options)
    if path.is_file():
        return _single_file(path, options)
    if HUB_ID.fullmatch(base) and not path.suffix:
        return _pretrained(base, options)
    raise UnreadableFile(
        f"base {base!r} does not exist; give a diffusers folder, a .safetensors checkpoint or a Hub id "
        "such as owner/model"
    )


def _pretrained(name: str, options: dict[str, Any]) -> Any:
    from diffusers import DiffusionPipeline

    try:
        return DiffusionPipeline.from_pretrained(name, **options)
    except Exception as error:  # whatever a broken model makes diffusers raise
        raise UnreadableFile(f"base {name!r} could not be loaded: {_line(error)}") from error


def _single_file(path: Path, options: dict[str, Any]) -> Any:
    if path.suffix != ".safetensors":
        raise UnreadableFile(
            f"base {str(path)!r} is not a .safetensors file; pickled checkpoints can run code when they "
            "are read and are refused unread; convert it to safetensors first"
        )
    import diffusers

    pipeline = getattr(diffusers, _pipeline_class(path))
    try:
        return pipeline.from_single_file(str(path), **options)
    except Exception as error:  # as above
        raise UnreadableFile(f"base {str(path)!r} could not be loaded: {_line(error)}") from error


def _pipeline_class(path: Path) -> str:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            keys = list(file.keys())
    except (SafetensorError, OSError) as error:
        raise UnreadableFile(f"base {str(path)!r} is not safetensors: {_line(error)}") from error
    for start, name in SINGLE_FILES:
        if any(key.startswith(start) for key in keys):
            return name
    raise InputError(
        f"base {str(path)!r} is not a checkpoint that is known here (first key {keys[:1]}); convert it "
        "to a diffusers folder"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
