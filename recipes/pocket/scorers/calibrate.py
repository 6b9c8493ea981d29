"""Choose thresholds on pictures that nothing was learned from, and fit what true pictures are like."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lorafusion.pocket.scorers.eye import Eye
from lorafusion.pocket.scorers.naturalness import far
from recipes.pocket.scorers.eye import Lesson
from recipes.pocket.scorers.scenes import UNKNOWN

PARTS = 256
"""Directions of the features that true pictures are described by, at most."""
_KEPT = 0.995
"""Share of the features' variance in those directions."""


@torch.no_grad()
def answers(eye: Eye, pictures: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Probabilities by category, of classes and of individuals, and the features.

    Args:
        eye: trained.
        pictures: [n, 3, 64, 64] in -1 to 1.
    """
    features = torch.cat([eye.trunk(part) for part in pictures.split(128)])
    classes, individuals, _ = eye.read(features)
    return [c.softmax(1) for c in classes], [c.softmax(1) for c in individuals], features


def threshold(likely: Tensor, labels: Tensor, candidates: Sequence[float]) -> float:
    """The threshold by which finding what is there and refusing what is not err the least, summed.

    Args:
        likely: [n, k] probabilities, none first.
        labels: [n] what is right; 0 for none, UNKNOWN for nobody knows.
        candidates: to choose from; of equal ones the highest, which is the strictest.
    """
    known = labels != UNKNOWN
    likely, labels = likely[known], labels[known]
    there = labels > 0
    value = likely.gather(1, labels[:, None])[:, 0]
    # A picture errs too where another label than the right one passes.
    others = likely.clone()
    others.scatter_(1, labels[:, None], 0.0)
    most = others[:, 1:].max(dim=1).values

    def errors(level: float) -> float:
        missed = (value[there] < level).float().mean()
        false = (most >= level).float().mean()
        return float(missed + false)

    return min(candidates, key=lambda level: (round(errors(level), 5), -level))


LEVELS = [0.3 + 0.05 * step for step in range(13)]


def thresholds(eye: Eye, held_out: Lesson, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """A threshold for every category, for classes and for individuals."""
    classes, individuals, _ = answers(eye, held_out.pictures)
    pairs = (
        ("classes", classes, held_out.classes),
        ("individuals", individuals, held_out.individuals),
    )
    return {
        group: {
            name: round(threshold(likely[place], labels[:, place], LEVELS), 2)
            for place, name in enumerate(names)
        }
        for group, likely, labels in pairs
    }


def nature(eye: Eye, features: Tensor, others: Tensor) -> dict[str, Tensor]:
    """Mean, whitening and usual distances of true pictures.

    Args:
        eye: trained.
        features: [n, d] of true pictures, for mean and whitening.
        others: [m, d] of other true pictures, for how far they usually are.
    """
    wholes = eye.read(features)[2]
    mean = features.mean(dim=0)
    values, directions = torch.linalg.eigh(torch.cov(features.T.double()))
    order = values.argsort(descending=True)
    values, directions = values[order], directions[:, order]
    kept = int((values.cumsum(0) / values.sum() < _KEPT).sum()) + 1
    kept = min(kept, PARTS)
    whiten = (directions[:, :kept] / values[:kept].sqrt()).float()
    found = {"mean": mean, "whiten": whiten, "whole": torch.stack([wholes.mean(), wholes.std()])}
    usual = far(eye, others, found)
    return found | {"quantiles": torch.quantile(usual, torch.linspace(0, 1, 1001))}
