"""The choice of an executor: by what it costs, with the reason in words."""

from __future__ import annotations

import pytest
import torch

from lorafusion.executors import choose, choose_for
from lorafusion.lora import LoRA, LowRank
from lorafusion.plan import Plan

WIDTH, STEPS = 1280, 12


def loras(count: int = 2) -> tuple[LoRA, ...]:
    down, up = torch.zeros(8, WIDTH), torch.zeros(WIDTH, 8)
    paths = [f"unet.{layer}" for layer in ("to_q", "to_out.0")]
    return tuple(
        LoRA(f"l{i}", {path: LowRank(down, up, 1.0) for path in paths}) for i in range(count)
    )


def turns(each: int) -> Plan:
    rows = torch.eye(2)[torch.arange(STEPS) // each % 2]
    return Plan.of(loras(), rows.unsqueeze(1))


def many(_target: str) -> int:
    return 4096


def few(_target: str) -> int:
    return 16


def test_one_mixture_that_lasts_is_written() -> None:
    choice = choose(turns(STEPS), tokens=many)
    assert choice.name == "fold"
    assert choice.why.startswith("one mixture in 12 steps: writing costs 0.0")


@pytest.mark.parametrize(("each", "tokens", "name"), [
    (1, few, "inject"), (1, many, "inject"), (2, many, "fold"), (3, few, "inject"), (12, few, "inject"),
])  # fmt: skip
def test_turns_are_written_where_they_last_long_enough(
    each: int, tokens: object, name: str
) -> None:
    assert callable(tokens)
    choice = choose(turns(each), tokens=tokens)
    assert choice.name == name
    assert f"{STEPS // each} mixture" in choice.why or each == STEPS
    ratio = float(choice.why.split("costs ")[1].split()[0])
    assert ratio < 1 if name == "fold" else ratio >= 1


def test_more_samples_pay_for_writing_sooner() -> None:
    assert choose(turns(STEPS), samples=2, tokens=few).name == "inject"
    assert choose(turns(STEPS), samples=64, tokens=few).name == "fold"


def test_text_encoders_are_no_part_of_it() -> None:
    lora = LoRA("words", {"text_encoder.q_proj": loras()[0].deltas["unet.to_q"]})
    choice = choose(Plan.of((lora,), torch.ones(STEPS, 1, 1)))
    assert choice.name == "fold"
    assert "no more than" in choice.why


def test_branches_and_prompts_are_rows_of_one_batch() -> None:
    branches = Plan.of(loras(), torch.eye(2).expand(STEPS, 2, 2))
    assert choose(branches, tokens=many).why == "2 branches run as one batch"
    both = choose_for([turns(STEPS), turns(1)], tokens=many)
    assert both.name == "inject"
    assert both.why.startswith("2 prompts")
