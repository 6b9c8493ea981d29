"""Let a plan act on a diffusers pipeline, for the length of a `with` block."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lorafusion.errors import BadOption
from lorafusion.executors import EXECUTORS, Choice, Executor, choose
from lorafusion.executors.gated import gated
from lorafusion.pipelines.branches import branched
from lorafusion.pipelines.clock import Clock
from lorafusion.pipelines.match import check, denoiser_name
from lorafusion.pipelines.prompts import Prompts
from lorafusion.plan import Plan

_BUSY: weakref.WeakSet[nn.Module] = weakref.WeakSet()


@contextmanager
def apply(pipe: Any, plan: Plan, *, executor: str = "auto") -> Iterator[Choice]:
    """Compose the plan's LoRAs on `pipe`; on exit everything is as before, bit for bit.

    Works with any text-to-image pipeline of diffusers that has a `scheduler`, a `unet` or `transformer`,
    and `encode_prompt`; its own callbacks, ControlNet, img2img and guidance go on working, since only the
    denoiser's forward, the scheduler's counting and the prompt's encoding are watched.

    Args:
        pipe: the pipeline, with the scheduler that will be used already in it.
        plan: made for the number of inference steps that the pipeline will be called with.
        executor: a name of `EXECUTORS`, or "auto" for the cheaper one.

    Yields:
        Choice: the executor in use and why.

    Raises:
        WrongBase: a LoRA does not fit the pipeline; nothing has been touched then.
        UnknownName: no such executor.
        BadOption: a plan is applied to this pipeline, or one that shares its models, already.
    """
    name = denoiser_name(pipe)
    for lora in plan.loras:
        check(pipe, lora)
    chosen = choose(plan) if executor == "auto" else Choice(executor, "asked for by name")
    make = EXECUTORS[chosen.name]
    with ExitStack() as stack:
        _engage(stack, pipe, name, _opened(plan), make)
        yield chosen


def _engage(
    stack: ExitStack, pipe: Any, name: str, plan: Plan, make: Callable[..., Executor]
) -> None:
    """Open executors and put the watchers in place; `stack` undoes each, in reverse order."""

    def enter(component: str) -> Executor:
        module = getattr(pipe, component)
        _claim(stack, module, f"the {component} of this {type(pipe).__name__}")
        return stack.enter_context(make(module, [lora.part(component) for lora in plan.loras]))

    components = sorted({component for lora in plan.loras for component in lora.components})
    executor = enter(name)
    encoders = [enter(component) for component in components if component != name]
    mixtures, variants = _text_mixtures(plan, hasattr(pipe, "controlnet"))
    prompts = None
    if encoders and len(mixtures) > 1:
        prompts = stack.enter_context(Prompts(pipe, encoders, mixtures))
    elif encoders:
        for encoder in encoders:
            encoder.set(mixtures[0])
    if plan.learned is not None:
        names = [lora.name for lora in plan.loras]
        gates = plan.gates[0, 0]
        stack.enter_context(gated(getattr(pipe, name), executor, plan.learned, names, gates))
        return
    if plan.constant and plan.branches == 1:
        executor.set(plan.gates[0, 0])
        return
    clock = None if plan.constant else stack.enter_context(Clock(pipe, plan.steps))
    denoiser = getattr(pipe, name)
    stack.enter_context(branched(pipe, denoiser, executor, plan, clock, prompts, variants))


def _claim(stack: ExitStack, module: nn.Module, words: str) -> None:
    """Pipelines may share models; two plans on one model would undo each other's work."""
    if module in _BUSY:
        raise BadOption(f"a plan is applied to {words} already; leave that block first")
    _BUSY.add(module)
    stack.callback(_BUSY.discard, module)


def _text_mixtures(plan: Plan, shared: bool) -> tuple[Float[Tensor, "v l"], Int[Tensor, "s b"]]:
    """The distinct gates of the text encoders, and which of them each step and branch sees.

    Args:
        plan: its text gates [S, B, L].
        shared: whether something else reads the pipeline's own encoding, as a ControlNet does; it is then
            given the mean mixture, so that no LoRA is favoured.
    """
    flat = plan.text_gates.flatten(0, 1)
    rows: list[Tensor] = []
    index = []
    for row in flat:
        seen = next((i for i, other in enumerate(rows) if torch.equal(other, row)), None)
        if seen is None:
            seen = len(rows)
            rows.append(row)
        index.append(seen)
    mixtures, variants = torch.stack(rows), torch.tensor(index).reshape(plan.mix.shape)
    if shared and len(rows) > 1:
        average = (flat * plan.mix.flatten()[:, None]).sum(0) / plan.steps
        return torch.cat([average[None], mixtures]), variants + 1
    return mixtures, variants


def _opened(plan: Plan) -> Plan:
    """The plan without the LoRAs that are closed in every step, on every branch."""
    most = torch.stack([plan.gates, plan.text_gates]).abs().amax(dim=(0, 1, 2))
    keep = [index for index in range(len(plan.loras)) if most[index] > 0]
    return replace(
        plan,
        loras=tuple(plan.loras[index] for index in keep),
        gates=plan.gates[..., keep],
        text_gates=plan.text_gates[..., keep],
    )
