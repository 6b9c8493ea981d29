"""LoRAs on a device: the same numbers, moved once, in one copy, within the bytes there are."""

from __future__ import annotations

import gc
import importlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lorafusion import formats
from lorafusion.lora import DoRA, LoRA, LowRank
from lorafusion.pipelines import apply
from lorafusion.pipelines.resident import Resident
from lorafusion.plan import Plan
from tests import tiny

CPU, META = torch.device("cpu"), torch.device("meta")
PATH = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_{}.lora_{}.weight"


def read(folder: Path, seed: int = 0) -> LoRA:
    torch.manual_seed(seed)
    tensors = {
        PATH.format(layer, side): torch.randn((2, 8) if side == "A" else (8, 2)).half()
        for layer in "qkv"
        for side in "AB"
    }
    path = folder / f"{seed}.safetensors"
    save_file(tensors, path)
    return formats.read(path)


def test_a_lora_is_moved_once_in_one_copy(tmp_path: Path) -> None:
    resident, lora = Resident(1 << 20), read(tmp_path)
    there = resident.get(lora, CPU)
    assert resident.get(lora, CPU).deltas == there.deltas
    pieces = set()
    for path, delta in lora.deltas.items():
        own = there.deltas[path]
        assert isinstance(own, LowRank)
        assert isinstance(delta, LowRank)
        assert torch.equal(own.down, delta.down)
        assert torch.equal(own.up, delta.up)
        assert own.scale == delta.scale
        assert own.down.data_ptr() != delta.down.data_ptr()
        pieces |= {own.down.untyped_storage().data_ptr(), own.up.untyped_storage().data_ptr()}
    assert len(pieces) == 1
    assert resident.size == sum(2 * 16 * 2 for _ in "qkv")


def test_each_device_has_its_own(tmp_path: Path) -> None:
    resident, lora = Resident(1 << 20), read(tmp_path)
    resident.get(lora, CPU)
    (delta, *_) = resident.get(lora, META).deltas.values()
    assert delta.down.is_meta
    assert delta.shape == (8, 8)
    assert resident.size == 2 * 192


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    loras = [read(tmp_path, seed) for seed in range(3)]
    resident = Resident(budget=2 * 192)
    first, second = (resident.get(lora, CPU) for lora in loras[:2])
    assert resident.get(loras[0], CPU).deltas == first.deltas
    resident.get(loras[2], CPU)
    assert resident.size == 2 * 192
    assert resident.get(loras[0], CPU).deltas == first.deltas
    assert resident.get(loras[1], CPU).deltas != second.deltas


def test_what_is_larger_than_the_budget_is_moved_and_not_kept(tmp_path: Path) -> None:
    resident = Resident(budget=100)
    assert len(resident.get(read(tmp_path), CPU).deltas) == 3
    assert resident.size == 0


def test_a_copy_goes_with_what_it_is_of(tmp_path: Path) -> None:
    resident, lora = Resident(1 << 20), read(tmp_path)
    resident.get(lora, CPU)
    del lora
    gc.collect()
    assert resident.size == 0


def test_changes_inside_changes_are_moved_too() -> None:
    inner = LowRank(torch.randn(2, 4), torch.randn(3, 2), 0.5)
    lora = LoRA("d", {"unet.x": DoRA(inner, torch.ones(3, 1))})
    (delta,) = Resident(1 << 20).get(lora, META).deltas.values()
    assert isinstance(delta, DoRA)
    assert delta.magnitude.is_meta
    assert isinstance(delta.direction, LowRank)
    assert delta.direction.down.is_meta


def test_apply_takes_loras_from_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tiny.pipeline("sd")
    path = tmp_path / "a.safetensors"
    save_file(tiny.state_dict(pipe, seed=1), path)
    lora = formats.read(path)
    plan = Plan.of((lora,), torch.ones(tiny.STEPS, 1, 1))
    with apply(pipe, plan):
        alone = tiny.call(pipe)
    module = importlib.import_module("lorafusion.pipelines.apply")
    resident = Resident(1 << 20)
    monkeypatch.setattr(module, "RESIDENT", resident)
    monkeypatch.setattr(module, "AT_HAND", ())
    with apply(pipe, plan):
        assert torch.equal(tiny.call(pipe), alone)
    assert 0 < resident.size <= path.stat().st_size
    assert not torch.equal(tiny.call(pipe), alone)
