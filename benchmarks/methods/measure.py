"""Measures: how well a picture shows the individuals of its case. Exchangeable, by ``module:attribute``.

`palette` is a stand-in: it compares colours alone and knows nothing of shapes or places. It is good for seeing
that a loop works, and for nothing that should be told of a method.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.methods.cases import Case
from lorafusion.pocket.world import INDIVIDUALS, Element, Scene, render

Measure = Callable[[Image.Image, Case], float]
"""``measure(picture, case)``: higher is better."""

BINS, RENDERS = 6, 16


def measure_of(name: str) -> Measure:
    """The function at ``module:attribute``."""
    module, _, attribute = name.partition(":")
    return cast("Measure", getattr(importlib.import_module(module), attribute))


def palette(picture: Image.Image, case: Case) -> float:
    """Overlap, 0 to 1, of the picture's colours with those of true pictures of the case."""
    return float(np.minimum(colours(np.asarray(picture.convert("RGB"))), _expected(case)).sum())


def colours(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Shares of the pixels [h, w, 3] in 6 x 6 x 6 colours."""
    places = pixels.reshape(-1, 3).astype(int) * BINS // 256
    flat = (places[:, 0] * BINS + places[:, 1]) * BINS + places[:, 2]
    counts: NDArray[np.float64] = np.bincount(flat, minlength=BINS**3) / len(flat)
    return counts


@functools.lru_cache
def _expected(case: Case) -> NDArray[np.float64]:
    """The mean shares over several true pictures, which differ in positions and sizes."""
    elements = {
        INDIVIDUALS[name].category: Element(INDIVIDUALS[name].word, individual=True)
        for name in case.names
    }
    scenes = [Scene(seed).changed(elements) for seed in range(RENDERS)]
    mean: NDArray[np.float64] = np.mean([colours(render(scene)) for scene in scenes], axis=0)
    return mean
