"""Naturalness: how far a picture is from the pictures of the pocket world."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.pocket.scorers import weights
from lorafusion.pocket.scorers.answers import CHUNK, load_eye
from lorafusion.pocket.scorers.eye import Eye
from lorafusion.pocket.scorers.pictures import Pictures, batch


class Naturalness:
    """Mahalanobis distance of a picture's features to those of true pictures.

    Features are the eye's; its answer to "is this picture in one piece?", learned from pictures
    broken in several ways, counts as much as all of them together. True pictures are renders
    through the bundled autoencoder: the best that the base could draw.

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
        self._true = found

    def distance(self, pictures: Pictures) -> Float[Tensor, " n"]:
        """Distances [n], 0 or more; true pictures have a mean square of about 2.

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
        below = torch.searchsorted(self._true["quantiles"], self.distance(pictures))
        return 1 - below / len(self._true["quantiles"])

    @torch.inference_mode()
    def _measure(self, part: Float[Tensor, "n 3 64 64"]) -> Tensor:
        return far(self._eye, self._eye.trunk(part), self._true)


def far(
    eye: Eye, features: Float[Tensor, "n d"], true: Mapping[str, Tensor]
) -> Float[Tensor, " n"]:
    """Distances of features from those of true pictures.

    Args:
        eye: says how much in one piece a picture with these features is.
        features: of n pictures.
        true: "mean" [d] and "whiten" [d, r] of true pictures' features, "whole" [2] mean and spread
            of the eye's answers to them.
    """
    apart = ((features - true["mean"]) @ true["whiten"]).square().mean(dim=1)
    mean, spread = true["whole"]
    return (apart + ((eye.read(features)[2] - mean) / spread).square()).sqrt()
