"""The network that detector, identity scorer and naturalness share: one trunk, eleven answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

WIDTH = 256
"""Size of the features that all answers are read from."""


def _step(inside: int, outside: int) -> nn.Sequential:
    """Half as high and wide."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.change(x))


class Trunk(nn.Module):
    """A small residual network (He et al. 2016): pictures to features."""

    def __init__(self, widths: Sequence[int] = (24, 64, 128, 192), out: int = WIDTH) -> None:
        super().__init__()
        fine, middle, coarse, last = widths
        self.layers = nn.Sequential(
            _step(3, fine), _Residual(fine), _step(fine, middle), _Residual(middle),
            _step(middle, coarse), _Residual(coarse), _Residual(coarse),
            _step(coarse, last), _Residual(last),
        )  # fmt: skip
        # The maximum says that something is there, the mean how much of the picture it is.
        self.gather = nn.Linear(2 * last, out)

    def forward(self, x: Float[Tensor, "n 3 64 64"]) -> Float[Tensor, "n d"]:
        """Features of pictures in -1 to 1."""
        found = self.layers(x.contiguous(memory_format=torch.channels_last))
        pooled = torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], dim=1)
        return torch.relu(self.gather(pooled))


class Eye(nn.Module):
    """Which class, which individual, and whether the picture is in one piece.

    Attributes:
        sizes: for each category, its number of classes and of individuals, "none" included.
    """

    def __init__(
        self,
        classes: Sequence[int],
        individuals: Sequence[int],
        widths: Sequence[int] = (24, 64, 128, 192),
    ) -> None:
        super().__init__()
        self.sizes = [*classes], [*individuals]
        self.trunk = Trunk(widths)
        self.classes = nn.Linear(WIDTH, sum(classes))
        self.individuals = nn.Linear(WIDTH, sum(individuals))
        self.whole = nn.Linear(WIDTH, 1)

    def read(
        self, features: Float[Tensor, "n d"]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor]:
        """Logits of features.

        Returns:
            For each category those of its classes, then those of its individuals ([n, size] each,
            "none" first); and that the picture is in one piece, [n].
        """
        classes, individuals = self.sizes
        return (
            self.classes(features).split(classes, dim=1),
            self.individuals(features).split(individuals, dim=1),
            self.whole(features)[:, 0],
        )
