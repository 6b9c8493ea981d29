"""Pocket's own scorers as detectors, embedder and metrics, so that a whole evaluation needs no download.

They are small networks that learned from renders of the pocket world; how good they are is measured
(``docs/pocket-testbed.md``). They know the bundled LoRAs and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from lorafusion import pocket
from lorafusion.errors import BadOption
from lorafusion.evaluation.metrics.shown import Shown
from lorafusion.evaluation.testbeds import Element
from lorafusion.pocket import world

WORTH = "its accuracy is in docs/pocket-testbed.md"
KINDS = ("all", "instance", "novel")
REFERENCES = 8
"""True pictures of an individual that CLIP-I compares with."""


class Classes:
    """A `Detector` of classes: is there a robot, whichever?"""

    about = f"pocket's detector of classes ({WORTH})"

    def __init__(self) -> None:
        self._scorer = pocket.detector()

    def __call__(
        self, images: Sequence[Image.Image], elements: Sequence[Sequence[Element]]
    ) -> list[list[bool | None]]:
        """As `Detector`."""
        asked = [[_individual(one).word for one in wanted if _known(one)] for wanted in elements]
        found = self._scorer.found(list(images), asked)
        return [
            [seen[_individual(one).word] if _known(one) else None for one in wanted]
            for seen, wanted in zip(found, elements, strict=True)
        ]


class Individuals:
    """A `Detector` of individuals: is it this very robot? The class must be found as well.

    Args:
        only: "all", "instance" for those whose class the base knows in other looks, or "novel".

    Raises:
        BadOption: another word.
    """

    def __init__(self, only: str = "all") -> None:
        if only not in KINDS:
            raise BadOption(f"only is {only!r}; pocket-identity knows {', '.join(KINDS)}")
        self._only = only
        self._classes, self._scorer = Classes(), pocket.identity()

    @property
    def about(self) -> str:
        """The scorer, and whom it was asked about."""
        whom = "" if self._only == "all" else f" {self._only}"
        return f"pocket's scorer of{whom} individuals, their class being found too ({WORTH})"

    def __call__(
        self, images: Sequence[Image.Image], elements: Sequence[Sequence[Element]]
    ) -> list[list[bool | None]]:
        """As `Detector`."""
        asked = [[one.name for one in wanted if self._asks(one)] for wanted in elements]
        right = self._scorer.right(list(images), asked)
        found = self._classes(images, elements)
        return [
            [
                here[one.name] and bool(there) if self._asks(one) else None
                for one, there in zip(wanted, seen, strict=True)
            ]
            for here, seen, wanted in zip(right, found, elements, strict=True)
        ]

    def _asks(self, one: Element) -> bool:
        kind = self._only
        return _known(one) and (kind == "all" or _individual(one).novel == (kind == "novel"))


class PocketClip:
    """Pocket-CLIP as an `Embedder`. It reads 32 words it knows of a text; no prompt here is longer."""

    id = "pocket-clip"

    def __init__(self) -> None:
        self._scorer = pocket.clip()
        self._read: dict[str, Tensor] = {}

    def images(self, images: Sequence[Image.Image]) -> Float[Tensor, "n d"]:
        """As `Embedder`."""
        return self._scorer.pictures(list(images))

    def texts(self, texts: Sequence[str], *, long: str = "windows") -> Float[Tensor, "n d"]:  # noqa: ARG002  no text is long
        """As `Embedder`."""
        new = [text for text in dict.fromkeys(texts) if text not in self._read]
        if new:
            self._read |= dict(zip(new, self._scorer.texts(new), strict=True))
        return torch.stack([self._read[text] for text in texts])


class Naturalness:
    """The share of true pictures that are farther from the middle of all; 0.5 on average for those."""

    about = (
        f"naturalness: share of true pictures that are farther out, by pocket's scorer ({WORTH})"
    )

    def __init__(self) -> None:
        self._scorer = pocket.naturalness()

    def __call__(self, shown: Sequence[Shown]) -> list[dict[str, float]]:
        """As `Metric`."""
        shares = self._scorer.percentile([one.image for one in shown]).tolist() if shown else []
        return [{"naturalness": float(share)} for share in shares]


def true_pictures(name: str) -> list[Image.Image]:
    """An individual as the pocket world draws it, alone and in other company; none for other names.

    Raises:
        UnreadableFile: the emoji font is not installed.
    """
    if name not in world.INDIVIDUALS:
        return []
    one = world.INDIVIDUALS[name]
    wanted: dict[world.Category, world.Element] = {
        one.category: world.Element(one.word, individual=True)
    }
    scenes = [world.sample(number, wanted) for number in range(REFERENCES)]
    return [Image.fromarray(np.asarray(world.render(scene))) for scene in scenes]


def _known(element: Element) -> bool:
    return element.name in world.INDIVIDUALS


def _individual(element: Element) -> world.Individual:
    return world.INDIVIDUALS[element.name]
