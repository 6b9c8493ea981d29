"""Compiled: inject in fixed shapes, so that `torch.compile` compiles once for all requests."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lorafusion.errors import BadOption
from lorafusion.executors.base import replaced
from lorafusion.executors.call import SAMPLES, Call
from lorafusion.executors.inject import check_low_rank
from lorafusion.executors.sidepath import along
from lorafusion.executors.site import Site, sites
from lorafusion.lora import Delta

BACKEND: str | Callable[..., Any] = "inductor"
MODE: str | None = None
"""What `torch.compile` is given; the mode "reduce-overhead" captures CUDA graphs."""
SMALLEST = 32
"""Ranks come in buckets of this and its doubles: one compilation for each."""
_MADE: weakref.WeakKeyDictionary[nn.Module, list[Slots]] = weakref.WeakKeyDictionary()
"""What was compiled for a module, as long as the module lives."""


def made_fast(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled, for inputs of fixed shapes."""
    fast: Callable[..., Any] = torch.compile(function, backend=BACKEND, mode=MODE, dynamic=False)
    return fast


class Slot:
    """A layer's forward with a side path of fixed rank; unused directions are zeros.

    Args:
        layer: linear or a convolution.
        rank: the bucket's.
        gates: [1, rank], shared by all slots with this layout of LoRAs.
    """

    def __init__(self, layer: nn.Module, rank: int, gates: Float[Tensor, "1 r"]) -> None:
        self.layer = layer
        self._own = layer.forward
        weight = layer.get_parameter("weight")
        self.down = weight.new_zeros(rank, weight[0].numel())
        self.up = weight.new_zeros(weight.shape[0], rank)
        self.gates = gates

    def __call__(self, x: Tensor) -> Tensor:
        """The layer's output with whatever is in the slot."""
        out: Tensor = self._own(x)
        return out + along(self.layer, x, self.down, self.up, self.gates)

    def fill(self, site: Site | None) -> None:
        """Put these stacks in, alpha / r included, or nothing."""
        rank = site.layout.rank if site else 0
        if site:
            self.down[:rank].copy_(site.down.flatten(1))
            scale = site.layout.scale.to(site.up)
            self.up[:, :rank].copy_(site.up.flatten(1) * scale)
        self.up[:, rank:].zero_()


class Slots:
    """The slots of a module and its compiled forward.

    It must not hold the module itself, which would then never be freed.

    Args:
        module: a denoiser or a text encoder.
        layers: path -> layer with a slot.
        rank: the bucket.

    Raises:
        BadOption: the module's forward is not its own.
    """

    def __init__(self, module: nn.Module, layers: Mapping[str, nn.Module], rank: int) -> None:
        like = next(module.parameters())
        self.rank = rank
        self.kind = (like.dtype, like.device)
        self.gates = like.new_zeros(len(layers), rank)
        self._keep_in_place(self.gates)
        self.at = {
            path: Slot(layer, rank, self.gates[place : place + 1])
            for place, (path, layer) in enumerate(layers.items())
        }
        for slot in self.at.values():
            self._keep_in_place(slot.down, slot.up)
        if not inspect.ismethod(module.forward):
            raise BadOption(
                f"executor 'compiled': something stands in for the forward of {type(module).__name__}, "
                "as offloading does; use executor='inject'"
            )
        function = module.forward.__func__
        # Text encoders are called once an image, which pays for no compilation.
        if set(SAMPLES) & inspect.signature(function).parameters.keys():
            function = made_fast(function)
        self.function = function

    @staticmethod
    def _keep_in_place(*tensors: Tensor) -> None:
        """Tell CUDA graphs that these are written where they lie: they would be copied before each call."""
        for tensor in tensors:
            if tensor.is_cuda:
                torch._dynamo.mark_static_address(tensor)

    def serves(self, module: nn.Module, paths: set[str], rank: int) -> bool:
        """Whether these LoRAs fit in."""
        like = next(module.parameters())
        return (
            self.kind == (like.dtype, like.device) and paths <= self.at.keys() and rank <= self.rank
        )


class Compiled:
    """`inject` for a denoiser that is compiled: LoRAs are copied into slots, gates into a buffer.

    What is compiled sees the same tensors in every request, whichever LoRAs, weights and method it
    has, as long as the sum of the ranks stays in one bucket, the layers are the same, and the batch and
    the size of the image too. Branches run one after the other, in one batch size. The slots and the
    compiled code wait for the next request; the module itself is left as it was.

    Args:
        module: a denoiser or a text encoder.
        parts: for each of the L LoRAs, path inside the module -> Delta.

    Raises:
        WrongBase: a delta that fits no layer.
        BadOption: a delta that is not of low rank, which has no side path.
    """

    def __init__(self, module: nn.Module, parts: Sequence[Mapping[str, Delta]]) -> None:
        self._module = module
        self._sites = {site.path: site for site in sites(module, parts, dtype=None)}
        check_low_rank(list(self._sites.values()))
        self._slots = self._found()
        self._owners = self._owner_table(len(parts))
        self._stack = ExitStack()

    def __enter__(self) -> Compiled:
        with torch.no_grad():
            for path, slot in self._slots.at.items():
                slot.fill(self._sites.get(path))
        with ExitStack() as stack:
            for slot in self._slots.at.values():
                stack.enter_context(replaced(slot.layer, "forward", slot))
            stack.enter_context(
                replaced(self._module, "forward", self._named(self._module.forward))
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def set(self, gates: Float[Tensor, " l"]) -> None:
        """Open the LoRAs this far, for every sample alike: one copy for the whole model."""
        closed = torch.zeros(1)
        self._slots.gates.copy_(torch.cat([gates.detach().cpu().float(), closed])[self._owners])

    def predict(self, calls: Sequence[Call], gates: Float[Tensor, "b l"]) -> list[Any]:
        """Run one branch after the other, each in the batch size that is compiled."""
        outputs = []
        for call, row in zip(calls, gates, strict=True):
            self.set(row)
            outputs.append(self._slots.function(self._module, **call.arguments))
        return outputs

    def _named(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The compiled forward with arguments by name: by place they would compile once more."""
        parameters = list(inspect.signature(original).parameters)

        @functools.wraps(original)
        def forward(*args: Any, **kwargs: Any) -> Any:
            named = dict(zip(parameters, args, strict=False)) | kwargs
            return self._slots.function(self._module, **named)

        return forward

    def _owner_table(self, count: int) -> Int[Tensor, "n r"]:
        """The LoRA of every direction of every slot; `count` for those that nobody has."""
        table = torch.full_like(self._slots.gates, count, dtype=torch.long, device="cpu")
        for place, path in enumerate(self._slots.at):
            if path in self._sites:
                owner = self._sites[path].layout.owner
                table[place, : len(owner)] = owner
        return table

    def _found(self) -> Slots:
        """Slots that are there and large enough, or new ones for all layers that ever had any."""
        paths = set(self._sites)
        rank = max((site.layout.rank for site in self._sites.values()), default=0)
        made = _MADE.setdefault(self._module, [])
        for slots in made:
            if slots.serves(self._module, paths, rank):
                return slots
        bucket = SMALLEST
        while bucket < rank:
            bucket *= 2
        layers = {path: slot.layer for slots in made for path, slot in slots.at.items()}
        layers |= {path: site.layer for path, site in self._sites.items()}
        made.append(Slots(self._module, layers, bucket))
        return made[-1]
