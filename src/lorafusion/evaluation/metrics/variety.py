"""Variety: how different the images of one set and arm are, and LPIPS where it is installed.

``spread`` needs no model: the root mean square difference of pixels (0 to 1) to the other seeds of
the same set and arm. A method that makes one and the same picture of every seed has a spread of 0.
``lpips_diversity`` is the same with the learned distance of Zhang et al., CVPR 2018, and
``clip_diversity`` with 1 - cosine of CLIP's vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from lorafusion.evaluation.metrics.clip import DEFAULT
from lorafusion.evaluation.metrics.embedder import open_embedder
from lorafusion.evaluation.metrics.packages import imported
from lorafusion.evaluation.metrics.shown import Shown

Pixels = Float[np.ndarray, "h w 3"]


class Variety:
    """Mean distance of each image to the others of its group; nothing where there is no other.

    Args:
        name: of the measure.
        text: the definition, for `about`.
        distance: of two images of one size, values from 0 to 1.
    """

    def __init__(self, name: str, text: str, distance: Callable[[Any, Any], float]) -> None:
        self._name, self._text, self._distance = name, text, distance

    @property
    def about(self) -> str:
        """The definition."""
        return self._text

    def __call__(self, shown: Sequence[Shown]) -> list[dict[str, float]]:
        """As `Metric`."""
        groups: dict[str, list[int]] = {}
        for index, one in enumerate(shown):
            groups.setdefault(one.group, []).append(index)
        values = [_array(one.image) for one in shown]
        rows: list[dict[str, float]] = [{} for _ in shown]
        for members in groups.values():
            for index in members:
                others = [i for i in members if i != index]
                if others:
                    apart = [self._distance(values[index], values[i]) for i in others]
                    rows[index] = {self._name: float(np.mean(apart))}
        return rows


def spread() -> Variety:
    """Root mean square difference of pixels between seeds."""

    def distance(a: Pixels, b: Pixels) -> float:
        return float(np.sqrt(((a - b) ** 2).mean()))

    return Variety(
        "spread",
        "spread: RMS pixel difference between seeds, 0 to 1; variety, not quality",
        distance,
    )


def lpips_diversity(network: str = "alex") -> Variety:
    """LPIPS between seeds.

    Raises:
        BadOption: the package lpips is not installed.
    """
    model: Any = imported("lpips", "lpips").LPIPS(net=network, verbose=False).eval()

    @torch.inference_mode()
    def distance(a: Pixels, b: Pixels) -> float:
        left, right = (torch.from_numpy(v).permute(2, 0, 1)[None] * 2 - 1 for v in (a, b))
        return float(model(left, right))

    return Variety("lpips_diversity", f"lpips_diversity: LPIPS ({network}) between seeds", distance)


def clip_diversity(model: str = DEFAULT) -> Variety:
    """1 - cosine between seeds, by CLIP.

    Raises:
        UnreadableFile: the model cannot be loaded.
    """
    embed = open_embedder(model)

    def distance(a: Pixels, b: Pixels) -> float:
        pictures = [Image.fromarray(np.uint8(np.rint(values * 255))) for values in (a, b)]
        one, other = embed.images(pictures)
        return 1 - float(one @ other)

    text = f"clip_diversity: 1 - cosine between seeds, by {embed.id}; variety, not quality"
    return Variety("clip_diversity", text, distance)


def _array(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"), dtype=np.float32) / 255
