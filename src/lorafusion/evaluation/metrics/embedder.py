"""Embedder: images and texts as unit vectors of one space; by CLIP models of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lorafusion.errors import UnreadableFile
from lorafusion.registry import Registry

BATCH = 32
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@runtime_checkable
class Embedder(Protocol):
    """What CLIPScore and its relatives compare with."""

    @property
    def id(self) -> str:
        """The model, by a name that others can find."""

    def images(self, images: Sequence[Image.Image]) -> Float[Tensor, "n d"]:
        """[n, d], rows of length 1."""

    def texts(self, texts: Sequence[str], *, long: str = "windows") -> Float[Tensor, "n d"]:
        """[n, d], rows of length 1. `long`: what to do with a text over the model's length:
        "truncate" it, or read it in "windows" and take their mean."""


EMBEDDERS: Registry[Any] = Registry(
    "embedder",
    "lorafusion.embedders",
    {"pocket": "lorafusion.evaluation.metrics.pocket:PocketClip"},
)
"""Name -> function without arguments that makes an `Embedder`; other models are opened by `Clip`."""


def open_embedder(model: str) -> Embedder:
    """An embedder by name, or a CLIP model by hub id or folder.

    Raises:
        UnreadableFile: it cannot be loaded.
    """
    if model in EMBEDDERS:
        made: Embedder = EMBEDDERS[model]()
        return made
    return Clip(model)


class Clip:
    """A CLIP model of transformers.

    Images are prepared as CLIP's authors do: shorter side to the model's size, bicubic, centre crop.

    Args:
        model: hub id such as "openai/clip-vit-base-patch16", or a folder.

    Raises:
        UnreadableFile: it cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        from transformers import AutoTokenizer, CLIPModel

        try:
            self._model: Any = CLIPModel.from_pretrained(model, use_safetensors=True).eval()
            self._tokenizer: Any = AutoTokenizer.from_pretrained(model)
        except Exception as error:  # whatever a missing or broken model makes transformers raise
            told = " ".join(str(error).split())[:300]
            raise UnreadableFile(f"CLIP model {model!r} could not be loaded: {told}") from error
        self.id = model if not Path(model).is_dir() else Path(model).resolve().name
        self._size = int(self._model.config.vision_config.image_size)

    @torch.inference_mode()
    def images(self, images: Sequence[Image.Image]) -> Float[Tensor, "n d"]:
        """As `Embedder.images`."""
        rows = []
        for start in range(0, len(images), BATCH):
            part = images[start : start + BATCH]
            batch = torch.stack([pixels(one, self._size, CLIP_MEAN, CLIP_STD) for one in part])
            seen = self._model.vision_model(pixel_values=batch).pooler_output
            rows.append(self._model.visual_projection(seen))
        return functional.normalize(torch.cat(rows), dim=-1)

    @torch.inference_mode()
    def texts(self, texts: Sequence[str], *, long: str = "windows") -> Float[Tensor, "n d"]:
        """As `Embedder.texts`."""
        rows: dict[str, Tensor] = {}
        for text in dict.fromkeys(texts):
            windows = self._windows(text)
            if long == "truncate":
                windows = windows[:1]
            vectors = torch.cat([self._text(window) for window in windows])
            # A short rest of a text says less than a full window of it.
            sizes = torch.tensor([[max(len(window), 1)] for window in windows])
            rows[text] = functional.normalize((vectors * sizes).sum(0), dim=-1)
        return torch.stack([rows[text] for text in texts])

    def is_long(self, text: str) -> bool:
        """Whether the model cannot read a text in one piece."""
        return len(self._windows(text)) > 1

    def _windows(self, text: str) -> list[list[int]]:
        """The tokens of a text without the two that mark its ends, in pieces that fit the model."""
        tokens = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        room = int(self._model.config.text_config.max_position_embeddings) - 2
        return [tokens[at : at + room] for at in range(0, len(tokens), room)] or [[]]

    def _text(self, tokens: list[int]) -> Tensor:
        ends = (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id)
        ids = torch.tensor([[ends[0], *tokens, ends[1]]])
        read = self._model.text_model(input_ids=ids, attention_mask=torch.ones_like(ids))
        return functional.normalize(self._model.text_projection(read.pooler_output), dim=-1)


def pixels(
    image: Image.Image,
    size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    resized: int | None = None,
) -> Float[Tensor, "3 h w"]:
    """An image for a vision model: shorter side to `resized` (or `size`), bicubic, then the middle.

    Returns:
        [3, size, size], each channel less its mean, over its standard deviation.
    """
    image = image.convert("RGB")
    side = resized or size
    scale = side / min(image.size)
    wide, high = (max(side, int(length * scale)) for length in image.size)
    image = image.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    image = image.crop((left, top, left + size, top + size))
    values = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    return (values - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
