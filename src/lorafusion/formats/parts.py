"""Down, up and alpha of each target, gathered from a file's keys and joined into LowRank."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from lorafusion.errors import UnreadableFile
from lorafusion.lora import LowRank

Scale = Callable[[str, int], float | None]
"""(target, rank) -> the scale that the header gives, or None when it says nothing."""


@dataclass
class Part:
    """What the file holds for one target.

    Attributes:
        keys: role ("down", "up" or "alpha") -> the key it came from.
        tensors: role -> tensor.
    """

    keys: dict[str, str] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


class Parts:
    """The parts of all targets, in the order in which the file names them."""

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}

    def add(self, target: str, role: str, key: str, tensor: Tensor) -> None:
        """Take in one tensor.

        Raises:
            UnreadableFile: another key has already given this role of this target.
        """
        part = self._parts.setdefault(target, Part())
        if role in part.keys:
            raise UnreadableFile(
                f"{part.keys[role]!r} and {key!r} both are the {role} matrix of {target}; "
                "the file was put together wrongly, use another one"
            )
        part.keys[role] = key
        part.tensors[role] = tensor

    def joined(self, scale: Scale) -> dict[str, LowRank]:
        """Target path -> LowRank.

        Args:
            scale: what the header says, for targets without an alpha of their own.

        Raises:
            UnreadableFile: a partner is missing, shapes do not fit each other, alpha is not one
                number, or it contradicts the header.
        """
        return {target: _low_rank(target, part, scale) for target, part in self._parts.items()}


def _low_rank(target: str, part: Part, scale: Scale) -> LowRank:
    for role, other in (("down", "up"), ("up", "down")):
        if role not in part.tensors:
            owner = part.keys.get(other) or part.keys["alpha"]
            raise UnreadableFile(
                f"{owner!r} has no {role} matrix beside it; the file is incomplete, fetch it again"
            )
    down, up = part.tensors["down"], part.tensors["up"]
    _check_shapes(part, down, up)
    rank = down.shape[0]
    said = scale(target, rank)
    if "alpha" not in part.tensors:
        return LowRank(down, up, 1.0 if said is None else said)
    own = _alpha(part) / rank
    # Half-precision alphas agree with the header's only roughly.
    if said is not None and not math.isclose(own, said, rel_tol=1e-2):
        raise UnreadableFile(
            f"{part.keys['alpha']!r} makes the scale {own:g} but the header {said:g}; "
            "remove the one that is wrong"
        )
    return LowRank(down, up, own)


def _check_shapes(part: Part, down: Tensor, up: Tensor) -> None:
    seen = (
        f"{part.keys['down']!r} is {list(down.shape)} and {part.keys['up']!r} is {list(up.shape)}"
    )
    if down.ndim < 2 or up.ndim < 2 or not (down.numel() and up.numel()):
        raise UnreadableFile(f"{seen}; expected matrices [rank, in] and [out, rank]")
    if down.shape[0] != up.shape[1]:
        raise UnreadableFile(f"{seen}; their ranks {down.shape[0]} and {up.shape[1]} differ")
    if any(size != 1 for size in up.shape[2:]):
        raise UnreadableFile(f"{seen}; expected an up matrix with a kernel of one")
    if not (down.is_floating_point() and up.is_floating_point()):
        raise UnreadableFile(f"{seen}, of whole numbers; expected floating point")


def _alpha(part: Part) -> float:
    alpha = part.tensors["alpha"]
    if alpha.numel() != 1:
        raise UnreadableFile(f"{part.keys['alpha']!r} is {list(alpha.shape)}; expected one number")
    return float(alpha)
