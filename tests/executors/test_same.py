"""What is not made again is what would be made again: keys and values of the prompt, and written weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lorafusion.executors import EXECUTORS, beside, forms
from lorafusion.executors.call import Call, stack
from lorafusion.executors.same import Remember, Same, Turn
from lorafusion.executors.scratch import Scratch
from lorafusion.lora import Delta
from tests.executors.test_inject import delta_for


class Attention(nn.Module):
    """As a unet's cross-attention names its layers."""

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, width)
        self.to_k, self.to_v = nn.Linear(words, width), nn.Linear(words, width)

    def forward(self, x: Tensor, prompt: Tensor) -> Tensor:
        weights = (self.to_q(x) @ self.to_k(prompt).mT).softmax(-1)
        return weights @ self.to_v(prompt)


class Block(nn.Module):
    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.attn2 = Attention(width, words)

    def forward(self, sample: Tensor, encoder_hidden_states: Tensor) -> tuple[Tensor]:
        return (self.attn2(sample, encoder_hidden_states),)


class Net(nn.Module):
    def __init__(self, width: int = 6, words: int = 4) -> None:
        super().__init__()
        self.block = Block(width, words)

    def forward(self, sample: Tensor, encoder_hidden_states: Tensor) -> tuple[Tensor]:
        out: tuple[Tensor] = self.block(sample, encoder_hidden_states)
        return out


def parts(net: Net) -> list[dict[str, Delta]]:
    torch.manual_seed(3)
    return [
        {f"block.attn2.{path}": delta_for(layer, 2) for path, layer in net.block.attn2.named_children()}
        for _ in range(3)
    ]  # fmt: skip


@pytest.fixture
def net() -> Net:
    torch.manual_seed(1)
    return Net()


@pytest.fixture
def counted() -> tuple[Callable[[Tensor], Tensor], list[int]]:
    calls: list[int] = []

    def double(x: Tensor) -> Tensor:
        calls.append(1)
        return x * 2

    return double, calls


@torch.no_grad()
def test_the_very_same_input_is_mapped_once(counted: Any) -> None:
    function, calls = counted
    turn = Turn()
    layer = Remember(function, turn)
    x = torch.ones(3)
    assert layer(x) is layer(x)
    assert len(calls) == 1
    assert torch.equal(layer(torch.ones(3)), torch.full((3,), 2.0))
    assert len(calls) == 2  # equal, and another one
    x.mul_(3)
    assert layer(x).tolist() == [6.0] * 3
    turn.number += 1
    layer(x).add_(1)  # somebody writes over the answer
    assert layer(x).tolist() == [6.0] * 3
    assert len(calls) == 5
    with torch.enable_grad():
        layer(x)
    assert len(calls) == 6


def test_without_versions_nothing_is_remembered(counted: Any) -> None:
    function, calls = counted
    with torch.inference_mode():
        layer = Remember(function, Turn())
        x = torch.ones(3)
        layer(x)
        x.mul_(2)
        assert layer(x).tolist() == [4.0] * 3
    assert len(calls) == 2


def fresh(net: Net, name: str, gates: Tensor, sample: Tensor, prompt: Tensor) -> Tensor:
    with EXECUTORS[name](net, parts(net)) as executor:
        executor.set(gates)
        return net(sample, prompt)[0]


@pytest.mark.parametrize("name", ["inject", "fold"])
@torch.no_grad()
def test_whatever_changes_is_seen(net: Net, name: str) -> None:
    prompts = [torch.randn(2, 5, 4) for _ in range(2)]
    mixtures = [torch.tensor(row) for row in ([1.0, 0.5, 0.0], [0.0, 0.0, 0.7])]
    bare = like(net)
    with EXECUTORS[name](net, parts(net)) as executor:
        for step in range(12):
            gates, prompt = mixtures[step // 3 % 2], prompts[step // 2 % 2]
            if step == 7:
                prompt.neg_()
            sample = torch.randn(2, 9, 6)
            executor.set(gates)
            ours = net(sample, prompt)[0]
            assert torch.equal(ours, fresh(bare, name, gates, sample, prompt))
    assert not any("forward" in vars(layer) for layer in net.modules())


def like(net: Net) -> Net:
    other = Net()
    other.load_state_dict(net.state_dict(), assign=True)
    return other


@torch.no_grad()
def test_keys_and_values_are_found_once_a_prompt(net: Net) -> None:
    seen: list[str] = []
    for path in ("to_q", "to_k", "to_v"):
        layer = getattr(net.block.attn2, path)
        original = layer.forward

        def forward(x: Tensor, path: str = path, original: Any = original) -> Any:
            seen.append(path)
            return original(x)

        layer.forward = forward
    prompt = torch.randn(1, 5, 4)
    branches = torch.eye(3)
    with EXECUTORS["inject"](net, parts(net)) as executor:
        for _ in range(4):
            call = Call({"sample": torch.randn(1, 9, 6), "encoder_hidden_states": prompt}, 1)
            executor.predict([call] * 3, branches)
    assert seen.count("to_q") == 4
    assert seen.count("to_k") == seen.count("to_v") == 1


@torch.no_grad()
def test_folding_leaves_large_layers_of_the_prompt_as_they_were() -> None:
    torch.manual_seed(1)
    net = Net(width=320, words=384)
    attention, gates = net.block.attn2, torch.tensor([1.0, 0.0, -0.5])
    before = {path: layer.weight for path, layer in attention.named_children()}
    places = {path: weight.data_ptr() for path, weight in before.items()}
    sample, prompt = torch.randn(2, 9, 320), torch.randn(2, 5, 384)
    bare = net(sample, prompt)[0]
    with EXECUTORS["reference"](net, parts(net)) as executor:
        executor.set(gates)
        expected = net(sample, prompt)[0]
    assert (expected - bare).abs().max() > 1e-2
    fold = EXECUTORS["fold"](net, parts(net))
    with fold:
        fold.set(gates)
        torch.testing.assert_close(net(sample, prompt)[0], expected.float())
        moved = {path for path, weight in before.items() if weight.data_ptr() != places[path]}
        assert moved == {"to_q"}
        fold.set(0 * gates)
        torch.testing.assert_close(net(sample, prompt)[0], bare)
        fold.set(gates)
    with fold:  # open again, with no LoRA in it
        torch.testing.assert_close(net(sample, prompt)[0], bare)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_folding_writes_other_layers_of_the_prompt(net: Net, dtype: torch.dtype) -> None:
    large = Net(width=320, words=384).bfloat16() if dtype == torch.bfloat16 else net
    weight = large.block.attn2.to_k.weight
    place, before = weight.data_ptr(), weight.clone()
    with EXECUTORS["fold"](large, parts(large)) as executor:
        executor.set(torch.tensor([1.0, 0.0, -0.5]))
        assert weight.data_ptr() != place
        assert not torch.equal(weight, before)
    assert weight.data_ptr() == place


@torch.no_grad()
def test_weights_are_written_once_while_the_gates_stay(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "LAUNCH", 0)
    monkeypatch.setattr(forms.Sizes, "side", lambda *_: 1e9)
    written: list[int] = []
    original = Scratch.written
    monkeypatch.setattr(
        Scratch, "written", lambda own, *words: (written.append(1), original(own, *words))[1]
    )
    prompt = torch.randn(2, 5, 4)
    first, second = torch.tensor([1.0, 0.5, 0.0]), torch.tensor([1.0, 0.0, 0.5])
    bare = like(net)
    with EXECUTORS["inject"](net, parts(net)) as executor:
        for gates in (first, first, first.clone(), second, second, first):
            executor.set(gates)
            sample = torch.randn(2, 9, 6)
            assert torch.equal(net(sample, prompt)[0], fresh(bare, "inject", gates, sample, prompt))
    inside = 3 * 3  # three layers, three turns
    assert len(written) == inside + 6 * 3


def test_beyond_the_budget_one_room_is_shared() -> None:
    weights = [torch.zeros(4, 4), torch.zeros(4, 4), torch.zeros(2, 4)]
    kept = Scratch(budget=weights[0].nbytes)
    rooms = [kept.room((place, 0), weight) for place, weight in enumerate(weights)]
    for place in range(3):
        kept.written((place, 0), turn=1)
    assert kept.found((0, 0), weights[0], 1) is rooms[0]
    assert kept.found((0, 0), weights[0], 2) is None
    assert kept.found((0, 0), weights[0].half(), 1) is None
    assert kept.found((1, 0), weights[1], 1) is None
    assert rooms[1].data_ptr() == rooms[2].data_ptr() != rooms[0].data_ptr()
    assert kept.room((3, 0), weights[0], keep=False).data_ptr() == rooms[1].data_ptr()


def test_arguments_are_put_together_once() -> None:
    prompt, same = torch.randn(1, 5, 4), Same()
    calls = [
        [Call({"sample": torch.randn(1, 9, 6), "encoder_hidden_states": prompt}, 1)] * 2
        for _ in range(2)
    ]
    one, two = (stack(each, same).arguments for each in calls)
    assert one["encoder_hidden_states"] is two["encoder_hidden_states"]
    assert one["encoder_hidden_states"].shape == (2, 5, 4)
    assert not torch.equal(one["sample"], two["sample"])
    wide = Call({"encoder_hidden_states": torch.randn(4, 5, 4), "sample": torch.randn(4, 9, 6)}, 4)
    rows = [
        wide.picked(rows, same).arguments["encoder_hidden_states"]
        for rows in ([0, 2], [0, 2], [1, 3])
    ]
    assert rows[0] is rows[1]
    assert torch.equal(rows[2], wide.arguments["encoder_hidden_states"][[1, 3]])
