"""A plan as one LoRA file: the fused result, exactly or reduced, for any program that reads LoRAs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lorafusion import formats
from lorafusion.errors import BadOption, NothingRelevant, WrongBase
from lorafusion.families import UNKNOWN
from lorafusion.lora import (
    SOURCES,
    Delta,
    Dense,
    DoRA,
    LoRA,
    LowRank,
    SourceOf,
    Spectral,
    sources_of,
    stacked,
    truncated,
)
from lorafusion.plan import Plan
from lorafusion.version import __version__

__all__ = ["SOURCES", "Fused", "export", "fused"]


@dataclass(frozen=True)
class Fused:
    """Several LoRAs as one.

    Attributes:
        lora: of low rank throughout, scale 1, in float32.
        kept: share of the energy (squared Frobenius norm over all modules) that it has of the exact
            sum; 1 for an exact one.
    """

    lora: LoRA
    kept: float

    @property
    def ranks(self) -> tuple[int, int]:
        """The least and the greatest rank of a module."""
        ranks = [delta.rank for delta in self.lora.deltas.values()]
        return min(ranks), max(ranks)


def export(
    plan: Plan,
    path: str | Path,
    *,
    format: str = "peft",  # noqa: A002  (the word callers expect)
    rank: int | None = None,
    energy: float | None = None,
    prompt: str = "",
) -> Fused:
    """Write the plan's LoRAs, at its gates, as one file; it appears whole or not at all.

    Args:
        plan: the same in every step, with one branch.
        path: ends in .safetensors; replaced if it exists.
        format: a name of `FORMATS` that is written: "peft" or "kohya".
        rank: at most so many directions a module; None for all.
        energy: the least share of each module's energy to keep, over 0 and up to 1; None for all.
        prompt: for the header.

    Returns:
        Fused: what was written.

    Raises:
        BadOption, NothingRelevant, WrongBase: as `fused`; or the format has no name for a module.
        UnknownName: no such format.
        NotWritable: the folder is missing or refuses the file.
    """
    path = Path(path)
    made = fused(plan, rank=rank, energy=energy, name=path.stem, prompt=prompt)
    formats.write(made.lora, path, format)
    return made


def fused(
    plan: Plan,
    *,
    rank: int | None = None,
    energy: float | None = None,
    name: str = "fused",
    prompt: str = "",
) -> Fused:
    """The plan's LoRAs, at its gates, as one LoRA.

    Ranks are stacked, so that the sum is exact; with `rank` or `energy` each module is cut to the
    nearest change of low rank.

    Raises:
        BadOption: a plan that varies over steps or branches, a change that no file of low rank can
            hold, or `rank` or `energy` out of range.
        NothingRelevant: every LoRA is closed.
        WrongBase: the LoRAs are for different families.
    """
    check_still(plan)
    deltas: dict[str, LowRank] = {}
    kept = whole = 0.0
    for target, weighted in _by_target(plan).items():
        exact = stacked([(weight, _low(target, delta)) for weight, delta in weighted])
        cut, share = exact, 1.0
        if rank is not None or energy is not None:
            cut, share = truncated(exact, rank, energy)
        size = _energy(exact)
        whole, kept = whole + size, kept + share * size
        deltas[target] = cut
    if not deltas:
        raise NothingRelevant("every LoRA of the plan is closed; there is nothing to export")
    share = kept / whole if whole else 1.0
    return Fused(
        LoRA(
            name=name,
            deltas=deltas,
            family=_family(plan),
            triggers=tuple(dict.fromkeys(word for lora in plan.loras for word in lora.triggers)),
            metadata=told(plan, prompt) | {"lorafusion.kept_energy": f"{share:.6g}"},
        ),
        share,
    )


def check_still(plan: Plan) -> None:
    """Insist on a plan that one set of weights can stand for.

    Raises:
        BadOption: it varies over steps or branches.
    """
    if plan.branches > 1:
        raise BadOption(
            f"plan {plan.method!r} averages {plan.branches} predictions, which no single LoRA does; "
            "export merge, nla or fusion"
        )
    if plan.learned is not None:
        raise BadOption(
            f"plan {plan.method!r} has gates that depend on the picture, which no single LoRA has; "
            "export merge, nla or fusion"
        )
    if not plan.constant:
        raise BadOption(
            f"plan {plan.method!r} changes from step to step, which no single LoRA does; "
            "export merge, nla or fusion"
        )


def _by_target(plan: Plan) -> dict[str, list[tuple[float, Delta]]]:
    """Target -> (gate, delta) of each LoRA that changes it, all of the first one's shape."""
    found: dict[str, list[tuple[float, Delta]]] = {}
    for index, lora in enumerate(plan.loras):
        for target, delta in lora.deltas.items():
            gates = plan.text_gates if target.startswith("text_encoder") else plan.gates
            gate = float(gates[0, 0, index])
            if gate == 0:
                continue
            others = found.setdefault(target, [])
            others.append((gate, delta.fitted(others[0][1].shape) if others else delta))
    return found


def _low(target: str, delta: Delta) -> LowRank:
    """The same change in low rank, exact but for rounding."""
    if isinstance(delta, LowRank):
        return delta
    if isinstance(delta, DoRA | Spectral):
        raise BadOption(
            f"{target} is a {delta.kind}, whose change depends on the base weights, which a LoRA "
            "file does not know; leave that LoRA out, or write a whole checkpoint (--dense)"
        )
    if isinstance(delta, Dense) and len(delta.shape) < 2:
        raise BadOption(
            f"{target} is a change of a bias or norm, which LoRA files cannot hold; "
            "leave that LoRA out, or write a whole checkpoint (--dense)"
        )
    return truncated(delta)[0]


def _energy(delta: LowRank) -> float:
    """The squared Frobenius norm, from the small Gram matrices of the factors."""
    up, down = delta.up.double().flatten(1), delta.down.double().flatten(1)
    return float(((up.T @ up) * (down @ down.T)).sum()) * delta.scale**2


def _family(plan: Plan) -> str:
    """The one family of all LoRAs that are open; unknown where one of them is."""
    opened = (plan.gates[0, 0] != 0) | (plan.text_gates[0, 0] != 0)
    families = {lora.family: lora.name for i, lora in enumerate(plan.loras) if opened[i]}
    known = {family: name for family, name in families.items() if family != UNKNOWN}
    if len(known) > 1:
        (one, first), (other, second), *_ = known.items()
        raise WrongBase(
            f"{first!r} is for {one} and {second!r} for {other}, which no single file can hold; "
            "name the base model, so that the others are left out"
        )
    return next(iter(families)) if len(families) == 1 else UNKNOWN


def told(plan: Plan, prompt: str) -> dict[str, str]:
    """Where a result comes from: LoRAs with their hashes and weights, method, prompt, version."""
    sources = [
        SourceOf(
            name=inner["name"],
            sha256=inner["sha256"],
            weight=inner["weight"] * float(plan.gates[0, 0, index]),
            text_weight=inner["text_weight"] * float(plan.text_gates[0, 0, index]),
        )
        for index, lora in enumerate(plan.loras)
        for inner in sources_of(lora)
    ]
    return {
        SOURCES: json.dumps(sources, ensure_ascii=False),
        "lorafusion.method": plan.method,
        "lorafusion.prompt": prompt,
        "lorafusion.version": __version__,
    }
