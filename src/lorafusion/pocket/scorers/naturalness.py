"""Naturalness: how far a picture is from the pictures of the pocket world."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.pocket.scorers import weights
from lorafusion.pocket.scorers.answers import CHUNK, load_eye
from lorafusion.pocket.scorers.pictures import Pictures, batch


class Naturalness:
    """Mahalanobis distance of a picture's features to those of true pictures.

    Features are the eye's, which also learned to tell whole pictures from broken ones. True
    pictures are renders through the bundled autoencoder: the best that the base could draw.

    Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples", 2018, with
    one mean for all.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Load the weights.

        Args:
            folder: where they are; None for those that ship.

        Raises:
            UnreadableFile: they are missing or broken.
        """
        self._eye, _ = load_eye(folder)
        found, _ = weights.read("naturalness", folder)
        self._mean, self._whiten, self._usual = found["mean"], found["whiten"], found["quantiles"]

    def distance(self, pictures: Pictures) -> Float[Tensor, " n"]:
        """Distances [n], 0 or more; true pictures have a mean square of about 1.

        Args:
            pictures: PIL images of 64x64 pixels or uint8 arrays [n, 64, 64, 3].

        Raises:
            BadOption: other pictures.
        """
        return torch.cat([self._measure(part) for part in batch(pictures).split(CHUNK)])

    def percentile(self, pictures: Pictures) -> Float[Tensor, " n"]:
        """The share of true pictures that are farther out, [n] in 0 to 1.

        True pictures have 0.5 on average; a broken one is near 0.

        Args:
            pictures: PIL images of 64x64 pixels or uint8 arrays [n, 64, 64, 3].

        Raises:
            BadOption: other pictures.
        """
        below = torch.searchsorted(self._usual, self.distance(pictures))
        return 1 - below / len(self._usual)

    @torch.inference_mode()
    def _measure(self, part: Float[Tensor, "n 3 64 64"]) -> Tensor:
        return far(self._eye.trunk(part), self._mean, self._whiten)


def far(
    features: Float[Tensor, "n d"], mean: Float[Tensor, " d"], whiten: Float[Tensor, "d r"]
) -> Float[Tensor, " n"]:
    """Root mean square of whitened differences from the mean."""
    return ((features - mean) @ whiten).square().mean(dim=1).sqrt()
