"""Shown: an image as metrics see it, and what a metric is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from lorafusion.evaluation.testbeds import Combination


@dataclass(frozen=True, eq=False)
class Shown:
    """One finished image and what it should show.

    Attributes:
        name: of its cell.
        image: the pixels.
        combination: its set: the prompt, and the elements that must be seen.
        group: images of one set by one arm share it; they differ in their seed alone.
    """

    name: str
    image: Image.Image
    combination: Combination
    group: str


@runtime_checkable
class Metric(Protocol):
    """A function of finished images; it never generates.

    It may return several measures, named apart; greater is better unless `about` says otherwise. An
    image for which a measure has no value is left out of that measure.
    """

    @property
    def about(self) -> str:
        """The definition, its source and the model, in one line."""

    def __call__(self, shown: Sequence[Shown]) -> list[dict[str, float]]:
        """Measure -> value, for each image, in their order. All images of a group come together."""
