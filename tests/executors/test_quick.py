"""Large layers go quicker ways to the same numbers, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lorafusion.executors import EXECUTORS, quick
from lorafusion.executors.call import Call, prediction
from lorafusion.executors.filtered import filtered, filters
from lorafusion.executors.quick import Quick, plain, quickened
from tests.executors.test_inject import delta_for

ABLE = quick.large(torch.empty(quick.LARGE, quick.LARGE))
"""Whether torch has oneDNN here; else every layer goes its own way."""

sizes = st.integers(1, 6)


@given(sizes, sizes, sizes, st.integers(1, 5), sizes, st.booleans(), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_filtering_is_the_convolution(
    count: int, inputs: int, outputs: int, half: int, width: int, biased: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    x, weight = torch.randn(count, inputs, 2 * half, width), torch.randn(outputs, inputs, 3, 3)
    bias = torch.randn(outputs) if biased else None
    wide = None if bias is None else bias.double()
    exact = functional.conv2d(x.double(), weight.double(), wide, padding=1)
    torch.testing.assert_close(
        filtered(x.double(), filters(weight.double()), wide), exact, rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(
        filtered(x, filters(weight), bias), exact.float(), rtol=1e-4, atol=1e-5
    )


def test_filtering_is_as_near_to_the_exact_as_the_plain_convolution() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 320, 16, 16), torch.randn(320, 320, 3, 3) / 2880**0.5
    exact = functional.conv2d(x.double(), weight.double(), padding=1)
    direct = (functional.conv2d(x, weight, padding=1) - exact).square().mean()
    ours = (filtered(x, filters(weight), None) - exact).square().mean()
    assert ours < 1.2 * direct


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every layer is large; returns the ways that were gone, in order."""
    monkeypatch.setattr(quick, "LARGE", 1)
    monkeypatch.setattr(quick, "LEAST", 0)
    gone: list[str] = []

    def told(name: str) -> None:
        before: Callable[..., Any] = getattr(quick, name)

        def way(*args: Any) -> Any:
            gone.append(name)
            return before(*args)

        monkeypatch.setattr(quick, name, way)

    for name in ("_product", "_at_once", "filtered"):
        told(name)
    return gone


CASES = {
    "linear": (nn.Linear(5, 7), (2, 3, 5), ["_product"]),
    "a place": (nn.Conv2d(4, 6, 1), (3, 4, 4, 4), ["_at_once", "_product"]),
    "places": (nn.Conv2d(4, 6, 1), (3, 4, 5, 4), []),
    "few": (nn.Conv2d(4, 6, 3, padding=1), (4, 4, 4, 4), ["_at_once", "_product"]),
    "many": (nn.Conv2d(4, 6, 3, padding=1), (5, 4, 4, 4), ["filtered"]),
    "without bias": (nn.Conv2d(4, 6, 3, padding=1, bias=False), (5, 4, 4, 5), ["filtered"]),
    "odd": (nn.Conv2d(4, 6, 3, padding=1), (5, 4, 5, 4), []),
    "strides": (nn.Conv2d(4, 6, 3, padding=1, stride=2), (5, 4, 4, 4), []),
    "holes": (nn.Conv2d(4, 6, 3, padding=2, dilation=2), (1, 4, 4, 4), []),
    "groups": (nn.Conv2d(4, 6, 3, padding=1, groups=2), (1, 4, 4, 4), []),
    "words": (nn.Conv2d(4, 6, 3, padding="same"), (1, 4, 4, 4), []),
    "no padding": (nn.Conv2d(4, 6, 3), (1, 4, 4, 4), []),
}


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_a_way_gives_what_the_layer_gives(name: str, eager: list[str]) -> None:
    layer, shape, ways = CASES[name]
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Quick(layer)(x), layer(x), rtol=1e-5, atol=1e-6)
    assert eager == (ways if ABLE else [])


@pytest.mark.parametrize("kernel", [1, 3])
@torch.no_grad()
def test_images_in_another_form_go_the_own_way_of_the_layer(kernel: int, eager: list[str]) -> None:
    layer = nn.Conv2d(4, 6, kernel, padding=kernel // 2)
    last = torch.randn(5, 4, 4, 4).to(memory_format=torch.channels_last)
    for x in (last, last[:0], last[0]):
        wanted, got = layer(x), Quick(layer)(x)
        assert torch.equal(got, wanted)
        assert got.stride() == wanted.stride()
    assert eager == []


@pytest.mark.parametrize("shape", [(5,), (0, 5), (2, 3, 4, 5)])
@torch.no_grad()
def test_vectors_in_any_number_of_dimensions(shape: tuple[int, ...], eager: list[str]) -> None:
    layer, x = nn.Linear(5, 7), torch.randn(*shape)
    torch.testing.assert_close(Quick(layer)(x), layer(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(Quick(layer)(x.mT.contiguous().mT if x.ndim > 1 else x), layer(x))
    assert eager == ["_product", "_product"] * ABLE


def test_small_layers_and_what_asks_for_more_than_numbers_go_their_own_way(
    eager: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = nn.Linear(5, 7)
    mapped, x = Quick(layer), torch.randn(2, 5)
    mapped(x).sum().backward()
    assert layer.weight.grad is not None
    with torch.inference_mode():
        mapped(x)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert mapped(x).dtype == torch.bfloat16
    with torch.no_grad():
        Quick(nn.Linear(5, 7).double())(x.double())
        monkeypatch.setattr(quick, "LARGE", 6)
        mapped(x)
    assert eager == []


@torch.no_grad()
def test_a_weight_that_is_written_is_filtered_anew(eager: list[str]) -> None:
    layer = nn.Conv2d(4, 6, 3, padding=1)
    mapped, x = Quick(layer), torch.randn(5, 4, 4, 4)
    mapped(x)
    layer.weight.mul_(2)
    torch.testing.assert_close(mapped(x), layer(x), rtol=1e-5, atol=1e-6)
    assert eager == ["filtered", "filtered"] * ABLE


class Net(nn.Module):
    """Layers for every way."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 6, 3, padding=1)
        self.changed = nn.Conv2d(6, 6, 3, padding=1)
        self.point = nn.Conv2d(6, 8, 1)
        self.flat = nn.Linear(8, 6)

    def forward(self, sample: torch.Tensor) -> tuple[torch.Tensor]:
        hidden = self.point(self.changed(self.first(sample))).flatten(2).transpose(1, 2)
        return (self.flat(hidden),)


@pytest.mark.parametrize("name", ["fold", "inject"])
@torch.no_grad()
def test_executors_go_quick_ways_and_agree_with_the_reference(name: str, eager: list[str]) -> None:
    torch.manual_seed(3)
    net = Net()
    before = {path: value.clone() for path, value in net.state_dict().items()}
    parts = [
        {path: delta_for(getattr(net, path), 2) for path in ("changed", "flat", "point")[i:]}
        for i in range(2)
    ]
    gates = torch.tensor([[0.5, 0.0], [0.3, -0.8], [0.0, 1.0]])
    calls = [Call({"sample": torch.randn(5, 4, 4, 4)}, 5) for _ in gates]
    with EXECUTORS["reference"](net, parts) as slow:
        wanted = [prediction(out) for out in slow.predict(calls, gates)]
    assert eager == []
    with EXECUTORS[name](net, parts) as fast:
        for got, want in zip(fast.predict(calls, gates), wanted, strict=True):
            torch.testing.assert_close(prediction(got), want, rtol=1e-4, atol=1e-5)
    assert not ABLE or {"filtered", "_product"} <= set(eager)
    assert all(plain(layer) for layer in net.children())
    assert all(torch.equal(value, before[path]) for path, value in net.state_dict().items())


def test_layers_that_others_have_wrapped_are_left_alone(eager: list[str]) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].forward = lambda x: x + 1  # type: ignore[method-assign]
    with quickened(net), torch.no_grad():
        net(torch.zeros(1, 2))
    assert eager == ["_product"] * ABLE
