"""DoRA: a change of direction, and lengths of its own for the rows or columns of the weight.

Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", arXiv:2402.09353, equation 5:
W' = m · (W0 + delta) / ||W0 + delta||. The norm is taken over each output's row (peft, and LyCORIS with
``wd_on_out``) or over each input's column (LyCORIS before), which the shape of m tells.

The change depends on the weight that it acts on, so there is no `dense(dtype)`, only `dense_on(weight)`.
At gate g the change is g · (W' − W0), a straight line from the base weight to the trained one: the same
as ComfyUI's strength, linear in g like every other kind, and independent of other open LoRAs.
LyCORIS and peft instead scale delta inside the norm, which agrees at g = 0 and g = 1 only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import UnreadTensors, WrongBase
from lorafusion.lora.dense import Dense
from lorafusion.lora.loha import LoHa
from lorafusion.lora.lokr import LoKr
from lorafusion.lora.lowrank import LowRank


@dataclass(frozen=True, eq=False)
class DoRA:
    """A change of one weight's directions and lengths.

    Attributes:
        direction: what is added before the lengths are set.
        magnitude: [out, 1] for lengths of rows, [1, in] for lengths of columns.
    """

    kind: ClassVar[str] = "DoRA"

    direction: LowRank | LoHa | LoKr | Dense
    magnitude: Float[Tensor, "o i"]

    @property
    def rank(self) -> int:
        """The rank of the change of direction."""
        return self.direction.rank

    @property
    def scale(self) -> float:
        """alpha / r of the change of direction."""
        return self.direction.scale

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight that this delta is for: [out, in, *k]."""
        return self.direction.shape

    def dense_on(
        self, weight: Float[Tensor, "out in *k"], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "out in *k"]:
        """W' − W0 for this base weight W0, computed in `dtype`."""
        base = weight.to(dtype)
        turned = base + self.direction.dense(dtype).to(base.device).reshape(base.shape)
        by_row = self.magnitude.shape[1] == 1
        length = (
            turned.flatten(1).norm(dim=1)
            if by_row
            else turned.transpose(0, 1).flatten(1).norm(dim=1)
        )
        shape = self.magnitude.shape + (1,) * (base.ndim - 2)
        # A row of zeros stays one, whatever its length is to be.
        length = length.clamp(min=torch.finfo(dtype).tiny).reshape(shape)
        return turned * (self.magnitude.to(base).reshape(shape) / length) - base

    def fitted(self, shape: tuple[int, ...]) -> DoRA:
        """The same delta for a weight that differs only by trailing kernel sizes of one.

        Raises:
            WrongBase: the shapes differ by more than that, or the lengths are not as many as rows or
                columns.
        """
        direction = self.direction.fitted(shape)
        if tuple(self.magnitude.shape) not in ((shape[0], 1), (1, shape[1])):
            raise WrongBase(
                f"DoRA's lengths {list(self.magnitude.shape)} for a weight of shape {list(shape)}"
            )
        return replace(self, direction=direction)

    def rows(self, start: int, stop: int) -> DoRA:
        """The change of the weight's rows from `start` to before `stop`: exact for lengths of rows.

        Raises:
            UnreadTensors: lengths of columns belong to all rows together.
        """
        if self.magnitude.shape[1] != 1:
            raise UnreadTensors(
                f"DoRA with lengths of columns, {list(self.magnitude.shape)}, on a layer that diffusers "
                "splits: the pieces would depend on each other; train it with wd_on_out"
            )
        return DoRA(self.direction.rows(start, stop), self.magnitude[start:stop])
