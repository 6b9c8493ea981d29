"""Plan: which LoRA is open how far, in each step and on each branch, and how branches are averaged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import BadOption
from lorafusion.gating import LearnedGates
from lorafusion.lora import LoRA
from lorafusion.mixer import Mixer


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
