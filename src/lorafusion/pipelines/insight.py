"""Insight: what methods may ask about the base model, answered by a diffusers pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lorafusion.errors import WrongBase
from lorafusion.executors.site import find_layer, find_parameter
from lorafusion.lora import LoRA
from lorafusion.pipelines.apply import apply
from lorafusion.pipelines.match import check
from lorafusion.plan import Plan


class Insight:
    """A `lorafusion.base.Base`. Nothing is computed before it is asked, and the pipeline stays as it was.

    Args:
        pipe: any pipeline that `apply` takes.
        steps: denoising steps of the sampling that signals are measured in. SSR-Merge's own is one
            step; some schedulers begin at the clean end then, so a few are taken.
        seed: of that sampling.
    """

    def __init__(self, pipe: Any, *, steps: int = 4, seed: int = 0) -> None:
        self._pipe = pipe
        self._steps = steps
        self._seed = seed

    def weight(self, target: str) -> Float[Tensor, "*shape"]:
        """A copy of the weight or bias at this target, on the CPU.

        Raises:
            WrongBase: the pipeline has no such weight.
        """
        component, _, path = target.partition(".")
        module = getattr(self._pipe, component, None)
        layer, name = find_parameter(module, path) if isinstance(module, nn.Module) else (None, "")
        weight = getattr(layer, name, None)
        if not isinstance(weight, Tensor):
            raise WrongBase(
                f"this {type(self._pipe).__name__} has no weight {target}; "
                "use the LoRA with the base model that it was trained on"
            )
        return weight.detach().cpu().clone()

    def signals(
        self, lora: LoRA, text: str, probes: Mapping[str, Float[Tensor, "r i *k"]]
    ) -> dict[str, Float[Tensor, "r r"]]:
        """For each probe P the mean of z z^T, z = P x, over what its layer sees: [R, R] in float64.

        Raises:
            WrongBase: the LoRA or a probe does not fit the pipeline.
        """
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}

        def listen(target: str, signal: Tensor) -> None:
            flat = signal.double()
            sums[target] = sums.get(target, torch.zeros(())) + (flat @ flat.T).cpu()
            counts[target] = counts.get(target, 0) + flat.shape[1]

        check(self._pipe, lora)
        with ExitStack() as stack:
            for target, probe in probes.items():
                stack.enter_context(self._listening(target, probe, listen))
            stack.enter_context(apply(self._pipe, Plan.of((lora,), torch.ones(1, 1, 1))))
            self._draw(text)
        return {
            target: sums[target] / counts[target]
            if target in sums
            else torch.zeros(len(probe), len(probe), dtype=torch.float64)
            for target, probe in probes.items()
        }

    @contextmanager
    def _listening(
        self, target: str, probe: Tensor, listen: Callable[[str, Tensor], None]
    ) -> Iterator[None]:
        component, _, path = target.partition(".")
        layer = find_layer(getattr(self._pipe, component), path)
        if layer is None:
            raise WrongBase(f"this {type(self._pipe).__name__} has no layer {target}")

        def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            x = args[0] if args else next(iter(kwargs.values()))
            listen(target, _seen(layer, probe.to(x), x))

        handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    @torch.no_grad()
    def _draw(self, text: str) -> None:
        generator = torch.Generator("cpu").manual_seed(self._seed)
        bar = dict(getattr(self._pipe, "_progress_bar_config", {}))
        self._pipe.set_progress_bar_config(disable=True)
        try:
            self._pipe(
                prompt=text,
                num_inference_steps=self._steps,
                generator=generator,
                output_type="latent",
            )
        finally:
            self._pipe.set_progress_bar_config(**(bar or {"disable": False}))


def _seen(layer: nn.Module, probe: Tensor, x: Tensor) -> Float[Tensor, "r m"]:
    """P x for every token or place, side by side."""
    if isinstance(layer, nn.Conv2d):
        z = functional.conv2d(x, probe, None, layer.stride, layer.padding, layer.dilation)
        return z.movedim(1, 0).flatten(1)
    return functional.linear(x, probe.flatten(1)).flatten(0, -2).T
