"""A plan as one file: what plain diffusers makes of it is what we make of the plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lorafusion import formats
from lorafusion.errors import BadOption, NothingRelevant, NotWritable, UnknownName
from lorafusion.export import SOURCES, export, fused
from lorafusion.lora import Dense, DoRA, LoHa, LoRA, LowRank
from lorafusion.pipelines import apply
from lorafusion.plan import Plan
from tests import tiny
from tests.conftest import loras_for

GATES = torch.tensor([0.7, -0.4, 0.5])


def plan_of(loras: tuple[LoRA, ...], text: torch.Tensor | None = None) -> Plan:
    gates = GATES[: len(loras)].expand(tiny.STEPS, 1, -1).clone()
    plan = Plan.of(loras, gates)
    return plan if text is None else replace(plan, text_gates=text.expand_as(gates).clone())


def predictions(pipe: Any) -> list[torch.Tensor]:
    """Every output of the denoiser during one run."""
    seen: list[torch.Tensor] = []
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    handle = denoiser.register_forward_hook(lambda module, args, output: seen.append(output[0]))
    try:
        tiny.call(pipe)
    finally:
        handle.remove()
    return seen


def worst(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    assert len(ours) == len(theirs) == tiny.STEPS
    return max(tiny.relative_error(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("kind", "form"), [
    ("sd", "peft"), ("sd", "kohya"), ("sdxl", "peft"), ("sdxl", "kohya"), ("flux", "peft"), ("sd3", "peft"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:The following .*_pattern keys did not match:RuntimeWarning")
def test_plain_diffusers_makes_the_same_of_the_file(kind: str, form: str, tmp_path: Path) -> None:
    pipe = tiny.pipeline(kind)
    plan = plan_of(loras_for(pipe))
    with apply(pipe, plan, executor="fold"):
        ours = predictions(pipe)
    base = predictions(pipe)
    made = export(plan, tmp_path / "fused.safetensors", format=form, prompt="a robot")
    assert made.kept == 1.0
    assert made.ranks == (9, 9)
    pipe.load_lora_weights(tmp_path, weight_name="fused.safetensors", adapter_name="fused")
    theirs = predictions(pipe)
    assert worst(ours, theirs) <= 1e-4
    assert worst(base, theirs) > 1e-2


@pytest.mark.parametrize("form", ["peft", "kohya"])
def test_our_reader_gives_the_sum(form: str, sd: Any, tmp_path: Path) -> None:
    loras = loras_for(sd)
    plan = plan_of(loras, text=torch.tensor([1.0, 0.0, 2.0]))
    path = tmp_path / "fused.safetensors"
    export(plan, path, format=form, prompt="ein Roboter ♥")
    back = formats.read(path)
    targets = {target for lora in loras for target in lora.deltas}
    assert set(back.deltas) == targets
    for target, delta in back.deltas.items():
        gates = (1.0, 0.0, 2.0) if target.startswith("text_encoder") else GATES.tolist()
        right = sum(
            gate * lora.deltas[target].dense(torch.float64)
            for gate, lora in zip(gates, loras, strict=True)
        )
        error = (delta.fitted(right.shape).dense(torch.float64) - right).norm() / right.norm()
        assert error <= 1e-6, target
    sources = json.loads(back.metadata[SOURCES])
    assert [source["name"] for source in sources] == [lora.name for lora in loras]
    assert [source["text_weight"] for source in sources] == [1.0, 0.0, 2.0]
    assert back.metadata["lorafusion.prompt"] == "ein Roboter ♥"


@given(st.floats(0.5, 1.0), st.integers(0, 9))
@settings(max_examples=20)
def test_a_reduced_file_keeps_what_it_says(energy: float, seed: int) -> None:
    torch.manual_seed(seed)
    loras = tuple(
        LoRA(str(i), {"unet.a": LowRank(torch.randn(4, 9), torch.randn(8, 4), 0.5),
                      "unet.b": LowRank(torch.randn(2, 5, 3, 3), torch.randn(6, 2, 1, 1), 0.5)})
        for i in range(3)
    )  # fmt: skip
    exact, reduced = fused(plan_of(loras)), fused(plan_of(loras), energy=energy)
    lost = whole = 0.0
    for target, delta in exact.lora.deltas.items():
        right, cut = delta.dense(torch.float64), reduced.lora.deltas[target]
        lost += float((right - cut.dense(torch.float64)).square().sum())
        whole += float(right.square().sum())
    assert reduced.kept >= energy - 1e-6
    assert abs(1 - lost / whole - reduced.kept) <= 1e-5
    assert fused(plan_of(loras), rank=3).ranks[1] <= 3


def test_other_kinds_become_low_rank_exactly() -> None:
    torch.manual_seed(0)
    loha = LoHa(
        torch.randn(8, 2), torch.randn(2, 7), torch.randn(8, 2), torch.randn(2, 7), 0.5, (8, 7)
    )
    loras = (LoRA("a", {"unet.a": loha}), LoRA("b", {"unet.a": Dense(torch.randn(8, 7))}))
    (delta,) = fused(plan_of(loras)).lora.deltas.values()
    gates = GATES[:2].tolist()
    right = sum(g * lora.deltas["unet.a"].dense() for g, lora in zip(gates, loras, strict=True))
    torch.testing.assert_close(delta.dense(), right, rtol=1e-4, atol=1e-5)


LOW = LowRank(torch.ones(1, 4), torch.ones(4, 1), 1.0)
REFUSED = {
    "turns": (lambda lora: Plan.of((lora, lora), torch.eye(2).unsqueeze(1)), "step to step"),
    "branches": (lambda lora: Plan.of((lora, lora), torch.eye(2).unsqueeze(0)), "averages 2"),
    "dora": (
        lambda lora: plan_of((LoRA("d", {"unet.a": DoRA(LOW, torch.ones(4, 1))}),)),
        "is a DoRA, whose change depends on the base weights",
    ),
    "bias": (
        lambda lora: plan_of((LoRA("b", {"unet.a.bias": Dense(torch.ones(4))}),)),
        "bias or norm",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_file_can_hold_is_refused(case: str, tmp_path: Path) -> None:
    make, why = REFUSED[case]
    with pytest.raises(BadOption, match=why):
        export(make(LoRA("a", {"unet.a": LOW})), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_nothing_open_no_folder_and_no_such_format(tmp_path: Path) -> None:
    plan = Plan.of((LoRA("a", {"unet.a": LOW}),), torch.zeros(1, 1, 1))
    with pytest.raises(NothingRelevant, match="closed"):
        export(plan, tmp_path / "a.safetensors")
    plan = Plan.of(plan.loras, torch.ones(1, 1, 1))
    with pytest.raises(NotWritable):
        export(plan, tmp_path / "none" / "a.safetensors")
    with pytest.raises(UnknownName, match="zip"):
        export(plan, tmp_path / "a.safetensors", format="zip")
    assert not list(tmp_path.iterdir())
