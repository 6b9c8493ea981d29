"""Route and Plan: what routing answers, and what a method makes of it.

A Route says which LoRAs a prompt asks for and how strongly. A Plan says which LoRA is open how far, in each
denoising step and on each branch, and how the branches' predictions are averaged. Both are data: they can be
printed, drawn and edited by hand, and hold nothing of the stage that comes after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import BadOption, UnknownName
from lorafusion.gating import LearnedGates
from lorafusion.lora import LoRA
from lorafusion.mixer import Mixer
from lorafusion.registry import unknown


@runtime_checkable
class Source(Protocol):
    """Where a LoRA comes from: an entry of a library, or anything else that can load one."""

    @property
    def name(self) -> str:
        """Unique within the route."""

    @property
    def category(self) -> str:
        """character, clothing, object, background, style, or "" when nobody said."""

    def load(self) -> LoRA:
        """Read the whole file."""


@dataclass(frozen=True)
class Candidate:
    """What routing found out about one LoRA.

    Attributes:
        source: the LoRA, not yet read.
        score: how well it fits the prompt; the router's own scale (cosine: -1 to 1).
        weight: its share, 0 when it was left out.
        phrase: the words of the prompt that asked for it.
        left_out: why it was left out, in words; empty when it was chosen.
        margin: by how much its score is ahead of the next that could have had its phrase, or of
            none at all; 0 where the router does not say.
        strength: what weight 1 of this LoRA means, for the denoiser: 1 is as it was trained. It
            multiplies what a method gives the LoRA, also where the method does not go by weights.
        text_strength: the same for the text encoders; None for that of the denoiser.
        pinned: whether the prompt named it in a tag, which said the strengths.
    """

    source: Source
    score: float
    weight: float
    phrase: str = ""
    left_out: str = ""
    margin: float = 0.0
    strength: float = 1.0
    text_strength: float | None = None
    pinned: bool = False

    @classmethod
    def passed_over(cls, source: Source, score: float, reason: str, margin: float) -> Candidate:
        """One that was left out: the same as by the constructor, in a fifth of the time.

        A prompt passes over thousands, and the constructor of a frozen dataclass takes a detour at each
        field. Fields that are not set here have their defaults from the class.
        """
        found = object.__new__(cls)
        fields = found.__dict__
        fields["source"], fields["score"], fields["weight"] = source, score, 0.0
        fields["left_out"], fields["margin"] = reason, margin
        return found

    @property
    def name(self) -> str:
        """The LoRA's name."""
        return self.source.name

    @property
    def strengths(self) -> tuple[float, float]:
        """What weight 1 means for the denoiser and for the text encoders."""
        return self.strength, self.strength if self.text_strength is None else self.text_strength


@dataclass(frozen=True)
class Route:
    """The answer of a router: every LoRA of the library, the best first.

    Attributes:
        prompt: what the pipeline reads: the text that was routed, with the words that were `added`.
        candidates: all LoRAs: pinned ones, then by falling score; equal scores by name.
        router: its name and options, for the record.
        text: what was routed: the prompt as given, without tags; the same as `prompt` when not given.
        added: trigger words that were put into the prompt.
    """

    prompt: str
    candidates: tuple[Candidate, ...]
    router: str = "by hand"
    text: str = ""
    added: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.text:
            object.__setattr__(self, "text", self.prompt)

    @property
    def chosen(self) -> tuple[Candidate, ...]:
        """Those that were not left out, in the order of the route."""
        return tuple(candidate for candidate in self.candidates if not candidate.left_out)

    @property
    def weights(self) -> dict[str, float]:
        """Name -> weight of the chosen ones."""
        return {candidate.name: candidate.weight for candidate in self.chosen}

    def with_weights(self, weights: Mapping[str, float]) -> Route:
        """The same route with exactly these LoRAs chosen, at these weights, edited by hand.

        A number given by hand is taken as it is: pins and preferred strengths do not multiply it.

        Raises:
            UnknownName: a name that the route does not have.
        """
        known = [candidate.name for candidate in self.candidates]
        for name in weights:
            if name not in known:
                raise UnknownName(unknown("LoRA", name, known))
        plain = (
            replace(one, strength=1.0, text_strength=None, pinned=False) for one in self.candidates
        )
        edited = (
            replace(one, weight=float(weights[one.name]), left_out="")
            if one.name in weights
            else replace(one, weight=0.0, left_out=one.left_out or "not named by hand")
            for one in plain
        )
        return replace(self, candidates=tuple(edited))


@dataclass(frozen=True, eq=False)
class Plan:
    """Which LoRA is open how far, in step s, on branch b.

    Attributes:
        loras: the L LoRAs that the gates are about.
        gates: [S, B, L], for the denoiser.
        mix: [S, B]; each row sums to 1; the branches' predictions are averaged with it.
        text_gates: [S, B, L], for the text encoders: each branch and each turn sees the prompt as
            encoded with these. The same as `gates` unless a method says otherwise.
        method: its name and options, for the record.
        mixer: makes one prediction of the branches' in place of `mix`, where that depends on what
            they are; None for the weighted mean.
        learned: shares each block's opening among the LoRAs by what they do there; the gates then
            are how far each is open at most, the same in every step. None for gates alone.
    """

    loras: tuple[LoRA, ...]
    gates: Float[Tensor, "_s _b _l"]  # the underscores leave comparing to __post_init__
    mix: Float[Tensor, "_s _b"]
    text_gates: Float[Tensor, "_s _b _l"]
    method: str = "by hand"
    mixer: Mixer | None = None
    learned: LearnedGates | None = None

    def __post_init__(self) -> None:
        if self.gates.shape != self.text_gates.shape:
            raise BadOption(
                f"plan {self.method!r}: gates are {list(self.gates.shape)} but text gates are "
                f"{list(self.text_gates.shape)}; give both the same shape"
            )
        if self.gates.shape[:2] != self.mix.shape or self.gates.shape[2] != len(self.loras):
            raise BadOption(
                f"plan {self.method!r}: gates are {list(self.gates.shape)}, mix is "
                f"{list(self.mix.shape)}, with {len(self.loras)} LoRAs; expected [S, B, L], [S, B] and L"
            )
        if not (torch.isfinite(self.gates).all() and torch.isfinite(self.text_gates).all()):
            raise BadOption(f"plan {self.method!r}: a gate is not a finite number")
        if not torch.allclose(self.mix.sum(1), torch.ones(len(self.mix)), atol=1e-5):
            raise BadOption(f"plan {self.method!r}: a row of mix does not sum to 1")
        if self.learned is not None and not (self.constant and self.branches == 1):
            raise BadOption(
                f"plan {self.method!r}: learned gates per block are for one branch whose gates are the same "
                f"in every step; this has {self.branches} branches over {self.steps} steps"
            )

    @classmethod
    def of(
        cls,
        loras: tuple[LoRA, ...],
        gates: Float[Tensor, "s b l"],
        mix: Float[Tensor, "s b"] | None = None,
    ) -> Plan:
        """A plan whose text encoders follow the denoiser's gates; branches are averaged equally."""
        gates = gates.to(torch.float32)
        if mix is None:
            mix = torch.full(gates.shape[:2], 1.0 / gates.shape[1])
        return cls(loras, gates, mix, gates)

    @property
    def steps(self) -> int:
        """The number S of denoising steps that the plan was made for."""
        return self.gates.shape[0]

    @property
    def branches(self) -> int:
        """The number B of predictions that each step averages."""
        return self.gates.shape[1]

    @property
    def constant(self) -> bool:
        """Whether every step is the same, so that the plan serves any number of steps."""
        still = all(bool((t == t[:1]).all()) for t in (self.gates, self.text_gates, self.mix))
        return still and self.mixer is None

    def with_mixer(self, mixer: Mixer) -> Plan:
        """The same plan with a function of the predictions in place of `mix`."""
        return replace(self, mixer=mixer)

    def with_learned(self, learned: LearnedGates) -> Plan:
        """The same plan with gates per block that are learned.

        Raises:
            BadOption: the plan has several branches or changes over the steps.
        """
        return replace(self, learned=learned)

    def scaled(self, strength: float) -> Plan:
        """The same plan with every gate multiplied by `strength`."""
        return replace(self, gates=self.gates * strength, text_gates=self.text_gates * strength)
