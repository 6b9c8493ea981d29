"""What detector and identity scorer have in common: one answer per category, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import BadOption, UnknownName
from lorafusion.pocket.scorers import weights
from lorafusion.pocket.scorers.eye import Eye
from lorafusion.pocket.scorers.pictures import Pictures, batch
from lorafusion.pocket.world import Category
from lorafusion.registry import unknown

CHUNK = 128
"""Pictures that are looked at together."""


def load_eye(folder: Path | None = None) -> tuple[Eye, dict[str, Any]]:
    """The trained network, and what its answers are called.

    Args:
        folder: where its file is; None for the one that ships.

    Raises:
        UnreadableFile: it is missing or broken.
    """
    tensors, settings = weights.read("eye", folder)
    eye = Eye(
        [1 + len(each) for each in settings["classes"].values()],
        [1 + len(each) for each in settings["individuals"].values()],
        settings["widths"],
    )
    eye.load_state_dict(tensors)
    return eye.eval().requires_grad_(False), settings


class Answers:
    """One group of the eye's answers.

    Attributes:
        labels: what can be answered, by category.
        thresholds: the least probability that counts, by category.
    """

    group: int
    """Which of the eye's groups of answers: 0 for classes, 1 for individuals."""
    kind: str
    """What a label is, in the singular."""

    def __init__(self, folder: Path | None = None) -> None:
        """Load the weights.

        Args:
            folder: where they are; None for those that ship.

        Raises:
            UnreadableFile: they are missing or broken.
        """
        self._eye, settings = load_eye(folder)
        name = ("classes", "individuals")[self.group]
        self.labels: dict[Category, tuple[str, ...]] = {
            category: tuple(labels) for category, labels in settings[name].items()
        }
        self.thresholds: Mapping[Category, float] = settings["thresholds"][name]

    def probabilities(self, pictures: Pictures) -> dict[Category, Float[Tensor, "n k"]]:
        """How likely each label is, [n, 1 + labels] by category; the first column is none of them.

        Args:
            pictures: n PIL images of 64x64 pixels or a uint8 array [n, 64, 64, 3].

        Raises:
            BadOption: other pictures.
        """
        rows = [self._look(part) for part in batch(pictures).split(CHUNK)]
        return {
            category: torch.cat([row[place] for row in rows])
            for place, category in enumerate(self.labels)
        }

    def check(self, pictures: Pictures, asked: Sequence[Sequence[str]]) -> list[dict[str, bool]]:
        """Whether each picture shows each of its labels.

        Args:
            pictures: n PIL images of 64x64 pixels or a uint8 array [n, 64, 64, 3].
            asked: n lists of labels.

        Returns:
            For each picture, label -> yes or no.

        Raises:
            BadOption: other pictures, or not a list for each.
            UnknownName: no such label.
        """
        if len(pictures) != len(asked):
            raise BadOption(
                f"{len(pictures)} pictures and {len(asked)} lists of {self.kind} names were given; "
                "give one list for each picture"
            )
        likely = self.probabilities(pictures)
        return [
            {label: self._counts(likely, row, label) for label in labels}
            for row, labels in enumerate(asked)
        ]

    def _counts(self, likely: Mapping[Category, Tensor], row: int, label: str) -> bool:
        for category, known in self.labels.items():
            if label in known:
                score = likely[category][row, 1 + known.index(label)]
                return float(score) >= self.thresholds[category]
        every = [label for known in self.labels.values() for label in known]
        raise UnknownName(unknown(self.kind, label, every))

    @torch.inference_mode()
    def _look(self, part: Float[Tensor, "n 3 64 64"]) -> list[Tensor]:
        logits = self._eye.read(self._eye.trunk(part))
        group = logits[0] if self.group == 0 else logits[1]
        return [each.float().softmax(dim=1) for each in group]
