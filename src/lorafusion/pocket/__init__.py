"""Pocket: a tiny text-to-image model that ships with the package, with LoRAs that fit it.

It draws scenes of 64 by 64 pixels from the pocket world (`lorafusion.pocket.world`): a character
that wears and holds things, somewhere, in some style. It is an ordinary Stable Diffusion pipeline,
small enough for any CPU, so that everything in this package can be tried without a download.

    pipe = pocket.pipeline()
    image = pipe("a robot wearing a crown in a library", num_inference_steps=20).images[0]
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lorafusion.errors import UnreadableFile

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionPipeline

    from lorafusion.pocket.scorers import Clip, Detector, Identity, Naturalness

__all__ = ["GUIDANCE", "clip", "detector", "identity", "loras", "naturalness", "pipeline"]

GUIDANCE = 2.5
"""The guidance scale that suits pocket; diffusers' default of 7.5 is for models a hundred times larger."""

_WEIGHTS = Path(__file__).parent / "weights"


def pipeline(dtype: torch.dtype | None = None) -> StableDiffusionPipeline:
    """Load the bundled base model.

    Each call reads the files anew, so that two pipelines never share weights.

    Args:
        dtype: precision of the parameters; they are stored in float16. None means float32.
    Returns:
        A pipeline on the CPU that makes images of 64 by 64 pixels.
    Raises:
        UnreadableFile: the weights were not installed with the package.
    """
    folder = _WEIGHTS / "base"
    if not (folder / "model_index.json").is_file():
        raise UnreadableFile(
            f"the bundled model is missing: no model_index.json in {folder}; "
            "install lorafusion again, or train it: python -m recipes.pocket --help"
        )
    import torch
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline.from_pretrained(
        folder, dtype=torch.float32 if dtype is None else dtype, local_files_only=True
    )


def loras() -> Path:
    """The folder of the bundled LoRA files: one .safetensors each, some with a .json beside it.

    Each knows one individual of a class that the base model knows in other looks: one robot, one
    crown, one library. Together they cover characters, clothing, objects, backgrounds and styles.
    """
    return _WEIGHTS / "loras"


def detector() -> Detector:
    """Load the scorer that finds classes: `detector().found(pictures, words)`.

    Raises:
        UnreadableFile: the weights were not installed with the package.
    """
    from lorafusion.pocket.scorers import Detector

    return Detector()


def identity() -> Identity:
    """Load the scorer that tells individuals from their siblings: `identity().right(pictures, names)`.

    Raises:
        UnreadableFile: the weights were not installed with the package.
    """
    from lorafusion.pocket.scorers import Identity

    return Identity()


def clip() -> Clip:
    """Load pocket-CLIP: `clip().alignment(pictures, texts)` and `clip().similarity(pictures, others)`.

    Raises:
        UnreadableFile: the weights were not installed with the package.
    """
    from lorafusion.pocket.scorers import Clip

    return Clip()


def naturalness() -> Naturalness:
    """Load the scorer of naturalness: `naturalness().percentile(pictures)`.

    Raises:
        UnreadableFile: the weights were not installed with the package.
    """
    from lorafusion.pocket.scorers import Naturalness

    return Naturalness()
