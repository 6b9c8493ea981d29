"""Element success: which of a set's elements can be seen, by any detector.

``elements_seen`` is the share of a set's elements that are found, ``all_elements_seen`` 1 where none
is missing; another word than "seen" tells two detectors apart. A detector is a function of images and
elements; pocket's own have a known accuracy, an open-vocabulary detector of transformers does for
photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image

from lorafusion.errors import BadOption, UnreadableFile
from lorafusion.evaluation.metrics.shown import Shown
from lorafusion.evaluation.testbeds import Element
from lorafusion.registry import Registry

OPEN_VOCABULARY = "IDEA-Research/grounding-dino-tiny"


@runtime_checkable
class Detector(Protocol):
    """Says which elements an image shows."""

    @property
    def about(self) -> str:
        """The model, and its accuracy where it is known, in one line."""

    def __call__(
        self, images: Sequence[Image.Image], elements: Sequence[Sequence[Element]]
    ) -> list[list[bool | None]]:
        """For each image and each of its elements; None for an element it knows nothing about."""


DETECTORS: Registry[Any] = Registry(
    "detector",
    "lorafusion.detectors",
    {
        "open-vocabulary": "lorafusion.evaluation.metrics.elements:OpenVocabulary",
        "pocket": "lorafusion.evaluation.metrics.pocket:Classes",
        "pocket-identity": "lorafusion.evaluation.metrics.pocket:Individuals",
    },
)
"""Name -> what makes a `Detector`."""


class ElementSuccess:
    """Shares of elements seen.

    Args:
        detector: a name of `DETECTORS`, or a `Detector`.
        word: what the measures call an element that is there.
        categories: whether each category has a measure of its own.
        options: of the detector.

    Raises:
        UnknownName: no such detector.
        InputError: as the detector.
    """

    def __init__(
        self,
        detector: str | Detector = "open-vocabulary",
        word: str = "seen",
        categories: bool = True,
        **options: object,
    ) -> None:
        self._word, self._categories = word, categories
        named = isinstance(detector, str)
        self._detector: Detector = DETECTORS[detector](**options) if named else detector  # type: ignore[index, assignment]  # `named` says which it is

    @property
    def about(self) -> str:
        """The detector."""
        return f"elements_{self._word}: share of elements, by {self._detector.about}"

    def __call__(self, shown: Sequence[Shown]) -> list[dict[str, float]]:
        """As `Metric`; elements that the detector knows nothing about do not count."""
        found = self._detector(
            [one.image for one in shown], [one.combination.elements for one in shown]
        )
        return [self._shares(one, seen) for one, seen in zip(shown, found, strict=True)]

    def _shares(self, one: Shown, seen: Sequence[bool | None]) -> dict[str, float]:
        known = [
            (element.category, there)
            for element, there in zip(one.combination.elements, seen, strict=True)
            if there is not None
        ]
        answers = [there for _, there in known]
        if not answers:
            return {}
        word = self._word
        shares = {
            f"elements_{word}": sum(answers) / len(answers),
            f"all_elements_{word}": float(all(answers)),
        }
        for category in dict.fromkeys(name for name, _ in known) if self._categories else ():
            own = [there for name, there in known if name == category]
            shares[f"{word}_{category}"] = sum(own) / len(own)
        return shares


class OpenVocabulary:
    """A zero-shot object detector of transformers: Grounding DINO, OWL-ViT and their kin.

    Args:
        model: hub id or folder.
        threshold: least score of a box, over 0 and under 1.

    Raises:
        BadOption: threshold out of its range.
        UnreadableFile: the model cannot be loaded.
    """

    def __init__(self, model: str = OPEN_VOCABULARY, threshold: float = 0.3) -> None:
        from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

        if not 0 < threshold < 1:
            raise BadOption(f"threshold is {threshold}; it must be over 0 and under 1")
        try:
            self._processor: Any = AutoProcessor.from_pretrained(model)
            self._model: Any = AutoModelForZeroShotObjectDetection.from_pretrained(
                model, use_safetensors=True
            ).eval()
        except Exception as error:  # whatever a missing or broken model makes transformers raise
            told = " ".join(str(error).split())[:300]
            raise UnreadableFile(f"detector {model!r} could not be loaded: {told}") from error
        self._name, self._threshold = model, threshold

    @property
    def about(self) -> str:
        """The model."""
        return f"open-vocabulary detector {self._name}, boxes from {self._threshold} on"

    @torch.inference_mode()
    def __call__(
        self, images: Sequence[Image.Image], elements: Sequence[Sequence[Element]]
    ) -> list[list[bool | None]]:
        """As `Detector`. A style is no object: nothing is known about it."""
        return [
            [None if one.category == "style" else self._sees(image, one.text) for one in wanted]
            for image, wanted in zip(images, elements, strict=True)
        ]

    def _sees(self, image: Image.Image, text: str) -> bool:
        inputs = self._processor(
            images=image.convert("RGB"), text=[[text.lower()]], return_tensors="pt"
        )
        logits = self._model(**inputs).logits
        return bool(torch.sigmoid(logits).max() >= self._threshold)
