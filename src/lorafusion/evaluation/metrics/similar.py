"""CLIP-I and DINO-I: how like an element's reference pictures an image is.

The mean cosine between an image and the pictures of each LoRA of its set, by CLIP (Gal et al.,
"An Image is Worth One Word", 2023) and by the class token of DINO (Ruiz et al., "DreamBooth",
CVPR 2023). Unlike a text score, these see which individual is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from lorafusion.errors import UnreadableFile
from lorafusion.evaluation.metrics.clip import DEFAULT
from lorafusion.evaluation.metrics.embedder import BATCH, Embedder, open_embedder, pixels
from lorafusion.evaluation.metrics.pocket import true_pictures
from lorafusion.evaluation.metrics.shown import Shown

DINO = "facebook/dino-vits16"
DINO_MEAN, DINO_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KINDS = frozenset({".png", ".jpg", ".jpeg", ".webp"})

Images = Callable[[Sequence[Image.Image]], Tensor]


class Similar:
    """Mean cosine with the reference pictures of each element that has some.

    Args:
        name: of the measure.
        model: its id, for `about`.
        embed: images to [n, d], rows of length 1.
        references: folder with a folder of pictures for each element, by its name; "pocket" for
            pictures that the pocket world draws of the bundled LoRAs' individuals.

    Raises:
        UnreadableFile: no such folder.
    """

    def __init__(self, name: str, model: str, embed: Images, references: str | Path) -> None:
        self._name, self._model, self._embed = name, model, embed
        self._pictures = true_pictures if references == "pocket" else _in_folder(references)
        self._known: dict[str, Tensor | None] = {}

    @property
    def about(self) -> str:
        """The definition and the model."""
        return f"{self._name}: mean cosine with each element's reference pictures, {self._model}"

    def __call__(self, shown: Sequence[Shown]) -> list[dict[str, float]]:
        """As `Metric`; nothing for an image none of whose elements has pictures."""
        if not shown:
            return []
        images = self._embed([one.image for one in shown])
        rows: list[dict[str, float]] = []
        for image, one in zip(images, shown, strict=True):
            found = [self._references(element.name) for element in one.combination.elements]
            means = [float((known @ image).mean()) for known in found if known is not None]
            rows.append({self._name: sum(means) / len(means)} if means else {})
        return rows

    def _references(self, name: str) -> Tensor | None:
        if name not in self._known:
            pictures = self._pictures(name)
            self._known[name] = self._embed(pictures) if pictures else None
        return self._known[name]


def clip_i(references: str, model: str = DEFAULT) -> Similar:
    """CLIP-I.

    Raises:
        UnreadableFile: the model or the folder cannot be read.
    """
    embed: Embedder = open_embedder(model)
    return Similar("clip_i", embed.id, embed.images, references)


def dino_i(references: str, model: str = DINO) -> Similar:
    """DINO-I, by the class token of a ViT such as DINO or DINOv2.

    Raises:
        UnreadableFile: the model or the folder cannot be read.
    """
    return Similar("dino_i", model, _Dino(model), references)


class _Dino:
    """Images to the class tokens of a vision transformer, as unit vectors."""

    def __init__(self, model: str) -> None:
        from transformers import AutoModel

        try:
            self._model: Any = AutoModel.from_pretrained(model, use_safetensors=True).eval()
        except Exception as error:  # whatever a missing or broken model makes transformers raise
            told = " ".join(str(error).split())[:300]
            raise UnreadableFile(f"DINO model {model!r} could not be loaded: {told}") from error
        # DINOv2 is trained for larger pictures than those it is used with here.
        self._size = min(224, int(self._model.config.image_size))

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image.Image]) -> Float[Tensor, "n d"]:
        rows = []
        for start in range(0, len(images), BATCH):
            batch = torch.stack(
                [
                    pixels(one, self._size, DINO_MEAN, DINO_STD, self._size * 8 // 7)
                    for one in images[start : start + BATCH]
                ]
            )
            rows.append(self._model(pixel_values=batch).last_hidden_state[:, 0])
        return functional.normalize(torch.cat(rows), dim=-1)


def _in_folder(references: str | Path) -> Callable[[str], list[Image.Image]]:
    folder = Path(references).expanduser()
    if not folder.is_dir():
        raise UnreadableFile(
            f"{folder}: no such folder; give one with a folder of pictures an element"
        )

    def pictures(name: str) -> list[Image.Image]:
        paths = sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in KINDS)
        return [_opened(path) for path in paths]

    return pictures


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise UnreadableFile(f"{path}: cannot be read as a picture ({error})") from None
