"""Card: what a method says of itself, for tables, pages and the tests that hold it to its word."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Calls:
    """How often the denoiser predicts in one step: `per_lora` · L + `fixed`, and at least once."""

    per_lora: int = 0
    fixed: int = 1

    def of(self, count: int) -> int:
        """For this many LoRAs."""
        return max(1, self.per_lora * count + self.fixed)

    def __str__(self) -> str:
        if not self.per_lora:
            return str(self.fixed)
        many = "L" if self.per_lora == 1 else f"{self.per_lora} L"
        return many if not self.fixed else f"{many} + {self.fixed}"


@dataclass(frozen=True)
class Card:
    """What a method says of itself.

    Attributes:
        formula: in one line of text; W0 are the base weights, D_l the change that LoRA l makes,
            w_l its routed weight, e_l what the model predicts with LoRA l alone, s the step.
        calls: predictions of the denoiser in one step.
        training: what has to be trained beforehand, in words.
        exportable: whether its plan is one LoRA file.
        ordered: whether the order of the LoRAs changes the result.
        alone: whether one LoRA alone at weight 1 acts as under `merge`.
        pairs: whether it is for exactly two LoRAs.
        base: whether it asks about the base model.
        rewrites: whether it makes one LoRA of several, so that strengths go into what it makes it of
            and not into its gates.
    """

    formula: str
    calls: Calls = field(default_factory=Calls)
    training: str = "none"
    exportable: bool = False
    ordered: bool = False
    alone: bool = True
    pairs: bool = False
    base: bool = False
    rewrites: bool = False
