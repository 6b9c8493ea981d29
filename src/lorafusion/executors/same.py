"""Same: what was made of tensors is not made again while they are the very same.

A pipeline hands its denoiser the same prompt in every step, so that cross-attention's keys and values are the
same too, as long as the gates are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

OF_THE_PROMPT = (".attn2.to_k", ".attn2.to_v")
"""Layers of a unet that are given the prompt, as it came in, in every step."""


def recorded(x: Tensor) -> bool:
    """Whether this call is compiled or captured, to be played again with other gates and prompts."""
    if torch.compiler.is_compiling():
        return True
    return x.is_cuda and torch.cuda.is_current_stream_capturing()


@dataclass
class Turn:
    """Counts how often gates have changed; one for all layers of a module."""

    number: int = 0


class Same:
    """What was made of tensors last, under a name.

    A tensor counts as the very same when it is that object and nothing was written into it since; it is held, so
    that no other can take its place in memory.
    """

    def __init__(self) -> None:
        self._held: dict[Hashable, tuple[Sequence[Tensor], list[int], Tensor]] = {}

    def of(self, name: Hashable, tensors: Sequence[Tensor], make: Callable[[], Tensor]) -> Tensor:
        """What `make` returned for these tensors the last time, or returns now.

        Args:
            name: of what is made.
            tensors: all that it depends on.
            make: makes it; not called when there is nothing new.
        """
        # Without versions, under inference mode, nobody knows what was written over.
        if torch.is_inference_mode_enabled() or any(tensor.is_inference() for tensor in tensors):
            return make()
        held = self._held.get(name)
        if held and len(held[0]) == len(tensors):
            before, versions, made = held
            now = [tensor._version for tensor in (*tensors, made)]
            if now == versions and all(a is b for a, b in zip(before, tensors, strict=True)):
                return made
        made = make()
        self._held[name] = (tensors, [tensor._version for tensor in (*tensors, made)], made)
        return made


class Remember:
    """A layer's forward whose last answer counts for the very same input, while the gates are the same.

    Args:
        forward: of one tensor.
        turn: of the gates.
    """

    def __init__(self, forward: Callable[..., Tensor], turn: Turn) -> None:
        self._forward = forward
        self._turn = turn
        self._number = turn.number
        self._same = Same()

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output."""
        alone = len(args) == 1 and not kwargs
        if not alone or torch.is_grad_enabled() or recorded(args[0]):
            return self._forward(*args, **kwargs)
        if self._number != self._turn.number:
            self._number, self._same = self._turn.number, Same()
        x: Tensor = args[0]
        kind = torch.is_autocast_enabled(x.device.type)
        return self._same.of(kind, (x,), lambda: self._forward(x))
