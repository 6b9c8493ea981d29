"""Preference: what weight 1 of a LoRA means, put into a plan or into the LoRAs that it is made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import torch

from lorafusion.errors import BadOption
from lorafusion.lora import SOURCES, Delta, Dense, LoRA, SourceOf, Spectral, sources_of
from lorafusion.methods.rewrite import free
from lorafusion.plan import Candidate, Plan

AS_TRAINED = (1.0, 1.0)


def opened(made: Plan, chosen: Sequence[Candidate], loras: Sequence[LoRA]) -> Plan:
    """The plan with each LoRA's gates multiplied by its strengths, pieces of it included.

    Args:
        made: its LoRAs are those that were chosen, or each is made of one of them.
        chosen: have the strengths.
        loras: the same LoRAs, read.

    Raises:
        BadOption: one LoRA of the plan is made of several that have strengths.
    """
    given = {
        lora.name: one.strengths
        for one, lora in zip(chosen, loras, strict=True)
        if one.strengths != AS_TRAINED
    }
    if not given:
        return made
    pairs = torch.tensor([_of(lora, given) for lora in made.loras]).reshape(-1, 2)
    return replace(made, gates=made.gates * pairs[:, 0], text_gates=made.text_gates * pairs[:, 1])


def scaled(chosen: Sequence[Candidate], loras: Sequence[LoRA]) -> tuple[LoRA, ...]:
    """The LoRAs with changes as large as their strengths say; their metadata tell what they are of.

    Raises:
        BadOption: a strength for a DoRA, whose change is not a number that can be multiplied.
    """
    return tuple(
        lora if one.strengths == AS_TRAINED else _scaled(lora, *one.strengths)
        for one, lora in zip(chosen, loras, strict=True)
    )


def _of(lora: LoRA, given: dict[str, tuple[float, float]]) -> tuple[float, float]:
    names = {inner["name"] for inner in sources_of(lora)}
    if len(names) > 1 and names & given.keys():
        raise BadOption(
            f"{lora.name!r} is made of {len(names)} LoRAs, which have strengths of their own; set "
            "rewrites on the method's CARD, or leave their strengths at 1"
        )
    return given.get(names.pop(), AS_TRAINED) if names else AS_TRAINED


def _scaled(lora: LoRA, strength: float, text_strength: float) -> LoRA:
    deltas = {
        target: _times(lora, target, text_strength if _is_text(target) else strength)
        for target in lora.deltas
    }
    sources = [
        SourceOf(
            name=inner["name"],
            sha256=inner["sha256"],
            weight=inner["weight"] * strength,
            text_weight=inner["text_weight"] * text_strength,
        )
        for inner in sources_of(lora)
    ]
    told = {**lora.metadata, SOURCES: json.dumps(sources, ensure_ascii=False)}
    return replace(lora, deltas=deltas, digest="", metadata=told)


def _is_text(target: str) -> bool:
    return target.startswith("text_encoder")


def _times(lora: LoRA, target: str, factor: float) -> Delta:
    delta = lora.deltas[target]
    if isinstance(delta, Spectral):
        return replace(delta, shift=delta.shift * factor)
    delta = free(lora, target)
    if isinstance(delta, Dense):
        return Dense(delta.change.float() * factor)
    return replace(delta, scale=delta.scale * factor)
