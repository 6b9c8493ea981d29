"""Gates on a tiny pipeline: what learns, what does not, files, and that a stopped run goes on alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lorafusion import formats, training
from lorafusion.errors import BadOption, UnknownFormat, UnreadableFile, WrongBase
from lorafusion.formats import container
from lorafusion.gating import BlockGate, LearnedGates
from lorafusion.lora import LoRA
from lorafusion.methods import plan
from lorafusion.pipelines import apply
from lorafusion.plan import Candidate, Route
from lorafusion.training.blocks import blocks_of
from tests import tiny
from tests.methods.given import Given
from tests.pipelines.test_methods import loras_for

RECIPE = training.Recipe(steps=3, batch=1, rate=1e-2, size=16, save_every=1)
BRUSH = training.Brush(steps=1, size=16)


def task(pipe: Any, count: int = 2, **given: Any) -> training.Task:
    """For LoRAs of a few layers, in two blocks and outside of any."""
    kept = ("conv_out", "mid_block.attentions.0", "mid_block.resnets.1", "text_encoder")
    loras = [
        replace(
            one, deltas={path: d for path, d in one.deltas.items() if any(k in path for k in kept)}
        )
        for one in loras_for(pipe, count)
    ]
    return training.Task(loras, [f"thing {i}" for i in range(count)], pictures=1, **given)


def train(pipe: Any, work: Path, asked: training.Task, **given: Any) -> training.TrainedGates:
    recipe = given.pop("recipe", RECIPE)
    return training.train_gates(pipe, asked, recipe, work, brush=BRUSH, **given)


def same(one: LearnedGates, other: LearnedGates) -> bool:
    return one.names == other.names and all(
        torch.equal(gate.projection, other.blocks[path].projection)
        and torch.equal(gate.temperature, other.blocks[path].temperature)
        for path, gate in one.blocks.items()
    )


def test_blocks_are_the_outermost() -> None:
    assert blocks_of(
        [
            "conv_in",
            "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q",
            "down_blocks.0.attentions.1.proj_in",
            "mid_block.resnets.0.conv1",
            "transformer_blocks.10.attn.to_q",
            "single_transformer_blocks.3.proj_out",
        ]
    ) == [
        "down_blocks.0.attentions.1",
        "mid_block.resnets.0",
        "transformer_blocks.10",
        "single_transformer_blocks.3",
    ]


def test_only_gates_learn_and_the_pipeline_is_left_alone(sd: Any, tmp_path: Path) -> None:
    before, wanted = tiny.weights(sd), [w.requires_grad for w in sd.unet.parameters()]
    made = train(sd, tmp_path, task(sd))
    assert tiny.weights(sd) == before
    assert [w.requires_grad for w in sd.unet.parameters()] == wanted
    assert sum(made.shares.values()) == pytest.approx(1.0)
    assert all(gate.projection.any() for gate in made.gates.blocks.values())
    assert all(gate.temperature > 0 for gate in made.gates.blocks.values())
    assert not any(gate.projection.requires_grad for gate in made.gates.blocks.values())


def test_stopped_half_way_it_ends_with_the_same_gates(sd: Any, tmp_path: Path) -> None:
    whole = train(sd, tmp_path / "whole", task(sd))

    def stop(done: int, most: int, loss: float) -> None:
        if done == RECIPE.save_every + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(sd, tmp_path / "part", task(sd), on_step=stop)
    rest = train(sd, tmp_path / "part", task(sd))
    assert (whole.resumed_at, rest.resumed_at) == (0, 2)
    assert set(whole.gates.blocks) == {"mid_block.attentions.0", "mid_block.resnets.1"}
    assert same(rest.gates, whole.gates)
    assert rest.shares == whole.shares
    other = task(sd, balance=0.0)
    with pytest.raises(BadOption, match="was begun with balance 0.5, now 0.0"):
        train(sd, tmp_path / "part", other)
    assert not same(train(sd, tmp_path / "part", other, restart=True).gates, whole.gates)


def test_the_balancing_loss_keeps_shares_alike(sd: Any, tmp_path: Path) -> None:
    """One LoRA does a hundred times what the other does: alone, it takes the gates."""
    asked = task(sd, balance=0.0)
    small = asked.loras[1]
    weak = {path: replace(one, scale=one.scale / 100) for path, one in small.deltas.items()}  # type: ignore[call-overload]
    loras = (asked.loras[0], replace(small, deltas=weak))
    recipe = replace(RECIPE, steps=20, rate=1e-1, save_every=20)
    largest = {}
    for balance in (0.0, 5.0):
        one = replace(asked, loras=loras, balance=balance)
        made = train(sd, tmp_path / str(balance), one, recipe=recipe)
        largest[balance] = training.largest(made.shares)[1]
    assert largest[0.0] > 0.6
    assert largest[5.0] < largest[0.0] - 0.05


def test_a_file_of_gates_is_read_by_plan_and_acts(sd: Any, tmp_path: Path) -> None:
    asked = task(sd, 3)
    made = train(sd, tmp_path / "work", asked)
    path = tmp_path / "gates.safetensors"
    formats.write_gates(made.gates, path, made.metadata)
    assert same(formats.read_gates(path), made.gates)
    assert formats.header(path).metadata["lorafusion.kind"] == "gates"
    pictures = []
    for loras in (asked.loras, asked.loras[:2]):  # the third is masked
        route = Route("x", tuple(Candidate(Given(one), 1.0, 1.0) for one in loras))
        planned = plan("mole", route, tiny.STEPS, gates=str(path))
        with apply(sd, planned):
            pictures.append(tiny.call(sd))
    assert tiny.relative_error(pictures[1], pictures[0]) > 1e-4


def named(sha256: str) -> LearnedGates:
    gate = BlockGate(torch.zeros(8, 2), torch.ones(()))
    return LearnedGates(("lora-0", "lora-1"), {"x": gate}, {"lora-0": sha256, "lora-1": ""})


def test_gates_of_another_file_are_refused(sd: Any) -> None:
    loras = [replace(one, digest="ab" * 32) for one in loras_for(sd, 2)]
    names = ("lora-0", "lora-1")
    chosen = [replace(lora, name=name) for lora, name in zip(loras, names, strict=True)]
    route = Route("x", tuple(Candidate(Given(one), 1.0, 1.0) for one in chosen))
    assert plan("mole", route, 3, gates=named("ab" * 32)).learned is not None
    with pytest.raises(BadOption, match="trained for another file called lora-0"):
        plan("mole", route, 3, gates=named("cd" * 32))


def test_what_is_no_file_of_gates_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(UnreadableFile, match="there is no such file"):
        formats.read_gates(path)
    container.save(path, {"a": torch.zeros(1)}, {})
    with pytest.raises(UnknownFormat, match="holds no learned gates"):
        formats.read_gates(path)
    container.save(path, {"a.projection": torch.zeros(4, 2)}, {"lorafusion.gates": '{"a": "", "b": ""}'})  # fmt: skip
    with pytest.raises(UnreadableFile, match="lacks its matrix or its temperature"):
        formats.read_gates(path)
    whole = {"a.projection": torch.zeros(4, 3), "a.temperature": torch.ones(())}
    container.save(path, whole, {"lorafusion.gates": '{"a": "", "b": ""}'})
    with pytest.raises(UnreadableFile, match="is 4x3, for 2 LoRAs"):
        formats.read_gates(path)


def test_a_task_that_makes_no_sense_is_refused(sd: Any, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="two LoRAs and more, each once"):
        task(sd, 1)
    with pytest.raises(BadOption, match="balance -1"):
        task(sd, balance=-1.0)
    foreign = LoRA("x", {"unet.nowhere": next(iter(loras_for(sd, 1)[0].deltas.values()))})
    with pytest.raises(WrongBase):
        train(sd, tmp_path, replace(task(sd), loras=(foreign, *task(sd).loras)[:2]))
