"""Let a plan act on a diffusers pipeline, for the length of a `with` block."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lorafusion.errors import BadOption
from lorafusion.executors import EXECUTORS, Choice, Executor, choose_for
from lorafusion.executors.gated import gated
from lorafusion.lora import LoRA
from lorafusion.pipelines.branches import Share, branched
from lorafusion.pipelines.clock import Clock
from lorafusion.pipelines.match import check, denoiser_name
from lorafusion.pipelines.prompts import Prompts
from lorafusion.pipelines.resident import RESIDENT
from lorafusion.pipelines.tokens import tokens
from lorafusion.plan import Plan

AT_HAND = ("cpu", "meta")
"""Where models lie that need no LoRA moved; offloaded ones are nowhere until they are called."""
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
    with apply_many(pipe, [plan], executor=executor) as choice:
        yield choice


@contextmanager
def apply_many(
    pipe: Any,
    plans: Sequence[Plan],
    guidance: Sequence[float] | None = None,
    *,
    executor: str = "auto",
) -> Iterator[Choice]:
    """`apply` with a plan of its own for each image of a batch: call the pipeline with as many prompts.

    Args:
        pipe: the pipeline.
        plans: one for each prompt, all for the same number of steps; a single one for any number.
        guidance: each image's own scale, where they differ: give the pipeline any of them.
        executor: as `apply`.

    Raises:
        WrongBase, UnknownName, BadOption: as `apply`.
    """
    if len(plans) > 1 and any(plan.learned is not None for plan in plans):
        raise BadOption(
            "learned gates act on a whole batch; make such images in calls of their own"
        )
    name = denoiser_name(pipe)
    for lora in _distinct(plans).values():
        check(pipe, lora)
    opened = joined([_opened(plan) for plan in plans])
    chosen = Choice(executor, "asked for by name")
    if executor == "auto":
        chosen = choose_for(opened, tokens=tokens(pipe))
    make = EXECUTORS[chosen.name]
    scales = [None] * len(plans) if guidance is None else list(guidance)
    with ExitStack() as stack:
        _engage(stack, pipe, name, opened, scales, make)
        yield chosen


def joined(plans: Sequence[Plan]) -> Sequence[Plan]:
    """The same plans, each about the LoRAs of all of them; its own gates for the others are 0."""
    if len(plans) == 1:
        return plans
    distinct = _distinct(plans)
    places = {contents: place for place, contents in enumerate(distinct)}
    wide = []
    for plan in plans:
        own = torch.tensor([places[_contents(lora)] for lora in plan.loras], dtype=torch.long)
        gates = torch.zeros(2, *plan.gates.shape[:2], len(distinct))
        gates.index_add_(3, own, torch.stack([plan.gates, plan.text_gates]))
        loras = tuple(distinct.values())
        wide.append(replace(plan, loras=loras, gates=gates[0], text_gates=gates[1]))
    return wide


def _distinct(plans: Sequence[Plan]) -> dict[tuple[int, ...], LoRA]:
    """The LoRAs of all plans, each once, in the order of their first."""
    found: dict[tuple[int, ...], LoRA] = {}
    for plan in plans:
        for lora in plan.loras:
            found.setdefault(_contents(lora), lora)
    return found


def _contents(lora: LoRA) -> tuple[int, ...]:
    """Equal for LoRAs that hold the very same changes, whatever they are called."""
    return tuple(id(delta) for delta in lora.deltas.values()) or (id(lora),)


def _engage(
    stack: ExitStack,
    pipe: Any,
    name: str,
    plans: Sequence[Plan],
    guidance: Sequence[float | None],
    make: Callable[..., Executor],
) -> None:
    """Open executors and put the watchers in place; `stack` undoes each, in reverse order."""
    loras = plans[0].loras
    device = next(getattr(pipe, name).parameters()).device
    near = loras if device.type in AT_HAND else [RESIDENT.get(lora, device) for lora in loras]

    def enter(component: str) -> Executor:
        module = getattr(pipe, component)
        _claim(stack, module, f"the {component} of this {type(pipe).__name__}")
        return stack.enter_context(make(module, [lora.part(component) for lora in near]))

    components = sorted({component for lora in loras for component in lora.components})
    executor = enter(name)
    encoders = [enter(component) for component in components if component != name]
    mixtures, variants = _text_mixtures(plans, hasattr(pipe, "controlnet"))
    prompts = None
    if encoders and len(mixtures) > 1:
        prompts = stack.enter_context(Prompts(pipe, encoders, mixtures))
    elif encoders:
        for encoder in encoders:
            encoder.set(mixtures[0])
    first = plans[0]
    if first.learned is not None:
        names = [lora.name for lora in loras]
        gates = first.gates[0, 0]
        stack.enter_context(gated(getattr(pipe, name), executor, first.learned, names, gates))
        return
    constant = all(plan.constant for plan in plans)
    if constant and len(plans) == first.branches == 1:
        executor.set(first.gates[0, 0])
        return
    clock = None if constant else stack.enter_context(Clock(pipe, first.steps))
    shares = [
        Share(plan.gates, plan.mix, own, scale, plan.mixer)
        for plan, own, scale in zip(plans, variants, guidance, strict=True)
    ]
    stack.enter_context(branched(pipe, getattr(pipe, name), executor, shares, clock, prompts))


def _claim(stack: ExitStack, module: nn.Module, words: str) -> None:
    """Pipelines may share models; two plans on one model would undo each other's work."""
    if module in _BUSY:
        raise BadOption(f"a plan is applied to {words} already; leave that block first")
    _BUSY.add(module)
    stack.callback(_BUSY.discard, module)


def _text_mixtures(
    plans: Sequence[Plan], shared: bool
) -> tuple[Float[Tensor, "v l"], list[Int[Tensor, "s b"]]]:
    """The distinct gates of the text encoders, and which of them each step and branch of a plan sees.

    Args:
        plans: with text gates [S, B, L] over the same L LoRAs.
        shared: whether something else reads the pipeline's own encoding, as a ControlNet does; it is then
            given the mean mixture, so that no LoRA is favoured.
    """
    flat = torch.cat([plan.text_gates.flatten(0, 1) for plan in plans])
    rows, index = torch.unique(flat, dim=0, return_inverse=True) if flat.shape[1] else _one(flat)
    # In the order of their first use: the pipeline carries on with the first.
    order = list(dict.fromkeys(index.tolist()))
    rows = rows[order]
    index = torch.tensor([order.index(each) for each in index.tolist()])
    sizes = [plan.mix.numel() for plan in plans]
    if shared and len(rows) > 1:
        shares = torch.cat([plan.mix.flatten() / plan.steps for plan in plans]) / len(plans)
        rows, index = torch.cat([(flat * shares[:, None]).sum(0)[None], rows]), index + 1
    pieces = zip(index.split(sizes), plans, strict=True)
    return rows, [own.reshape(plan.mix.shape) for own, plan in pieces]


def _one(flat: Float[Tensor, "n l"]) -> tuple[Tensor, Tensor]:
    return flat[:1], torch.zeros(len(flat), dtype=torch.long)


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
