"""Norms, angles and overlaps in low rank, against the same of dense matrices."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lorafusion import doctor
from lorafusion.errors import BadOption, WrongBase
from lorafusion.lora import Dense, DoRA, LoHa, LoKr, LoRA, LowRank

SHAPES = ((7, 5), (6, 3, 3, 3), (4, 8, 1, 1))


def delta(seed: int, shape: tuple[int, ...], rank: int, scale: float = 0.5) -> LowRank:
    draw = torch.Generator().manual_seed(seed)
    out, inputs, *kernel = shape
    down = torch.randn(rank, inputs, *kernel, generator=draw)
    up = torch.randn(out, rank, *[1] * len(kernel), generator=draw)
    return LowRank(down, up, scale)


def lora(name: str, seed: int, layers: str = "abc", rank: int = 2, scale: float = 0.5) -> LoRA:
    shapes = dict(zip("abcd", (*SHAPES, (5, 5)), strict=True))
    deltas = {f"unet.{x}": delta(seed + ord(x), shapes[x], rank, scale) for x in layers}
    return LoRA(name, deltas)


def flat(of: LoRA, path: str) -> torch.Tensor:
    return of.deltas[path].dense(torch.float64).flatten(1)


CASES = st.tuples(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from(SHAPES),
    st.integers(1, 9),
    st.integers(1, 9),
)


@given(CASES)
def test_norms_and_inner_products_are_those_of_the_dense_matrices(
    case: tuple[int, int, tuple[int, ...], int, int],
) -> None:
    a, b, shape, rank, other = case
    one, two = delta(a, shape, rank, -0.7), delta(b, shape, other, 1.5)
    x, y = one.dense(torch.float64), two.dense(torch.float64)
    first, second = doctor.factors(one), doctor.factors(two)
    assert first.norm() == pytest.approx(float(x.norm()), rel=1e-12)
    assert first.inner(second) == pytest.approx(float((x * y).sum()), rel=1e-10, abs=1e-10)
    assert first.inner(second) == pytest.approx(second.inner(first), rel=1e-10, abs=1e-10)
    assert first.inner(first) == pytest.approx(first.norm() ** 2, rel=1e-10)


@given(CASES)
def test_overlaps_are_those_of_the_singular_vectors_of_the_dense_matrices(
    case: tuple[int, int, tuple[int, ...], int, int],
) -> None:
    a, b, shape, rank, other = case
    one, two = delta(a, shape, rank), delta(b, shape, other)

    def projectors(of: LowRank) -> tuple[torch.Tensor, torch.Tensor]:
        u, s, vh = torch.linalg.svd(of.dense(torch.float64).flatten(1), full_matrices=False)
        kept = s > 1e-9 * s.max()
        u, v = u[:, kept], vh[kept].T
        return v @ v.T, u @ u.T

    expected = [
        float((p * q).sum()) / min(float(p.trace()), float(q.trace()))
        for p, q in zip(projectors(one), projectors(two), strict=True)
    ]
    found = doctor.factors(one).overlap(doctor.factors(two))
    assert found == pytest.approx(expected, abs=1e-7)
    assert all(0 <= value <= 1 for value in found)


def test_a_subspace_inside_another_overlaps_wholly_and_orthogonal_ones_do_not() -> None:
    eye = torch.eye(6)
    small, large = LowRank(eye[:2], eye[:, :2], 1.0), LowRank(eye[:4], eye[:, 1:5], 1.0)
    assert doctor.factors(small).overlap(doctor.factors(large)) == (1.0, 0.5)
    far = LowRank(eye[4:], eye[:, 4:], 1.0)
    assert doctor.factors(small).overlap(doctor.factors(far)) == (0.0, 0.0)


def test_directions_that_do_nothing_do_not_count() -> None:
    eye = torch.eye(6)
    doubled = LowRank(torch.cat([eye[:1], eye[:1]]), eye[:, :2], 1.0)
    read, written = doctor.factors(doubled).spaces()
    assert (read.shape, written.shape) == ((6, 1), (6, 1))
    nothing = LowRank(torch.zeros(2, 6), eye[:, :2], 1.0)
    assert doctor.factors(nothing).overlap(doctor.factors(doubled)) == (0.0, 0.0)
    assert doctor.factors(nothing).norm() == 0.0


def test_a_norm_survives_factors_that_nearly_cancel() -> None:
    up = torch.tensor([[1.0, 1.0], [2.0, 2.0]], dtype=torch.float64)
    down = torch.tensor([[1.0, 3.0], [-1.0 + 2**-30, -3.0]], dtype=torch.float64)
    cancelled = LowRank(down, up, 1.0)
    exact = math.hypot(2**-30, 2 * 2**-30)
    assert doctor.factors(cancelled).norm() == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 3, 3), (7,)])
def test_other_kinds_of_delta_are_measured_in_full(shape: tuple[int, ...]) -> None:
    change = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    measured = doctor.factors(Dense(change))
    assert measured.norm() == pytest.approx(float(change.norm()))
    torch.testing.assert_close(
        measured.up @ measured.down, change.reshape(shape[0], -1), rtol=1e-12, atol=1e-12
    )


def test_loha_and_lokr_are_what_their_dense_matrices_are() -> None:
    draw = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    loha = LoHa(random(6, 2), random(2, 8), random(6, 3), random(3, 8), 0.5, (6, 8))
    lokr = LoKr(random(2, 4), random(3, 2), 1.5, (6, 8))
    plain = delta(4, (6, 8), 2)
    for one in (loha, lokr):
        x, y = one.dense(torch.float64), plain.dense(torch.float64)
        found = doctor.factors(one)
        assert found.norm() == pytest.approx(float(x.norm()))
        assert found.inner(doctor.factors(plain)) == pytest.approx(float((x * y).sum()))


def test_dora_counts_in_full_where_its_base_weight_is_known() -> None:
    direction = delta(3, (5, 5), 2)
    weight = torch.randn(5, 5, generator=torch.Generator().manual_seed(4))
    dora = DoRA(direction, torch.full((5, 1), 3.0))
    whole = LoRA("x", {"unet.a": dora})
    alone = doctor.effect(whole).norm
    assert alone == pytest.approx(float(direction.dense(torch.float64).norm()))
    turned = weight.double() + direction.dense(torch.float64)
    expected = 3 * turned / turned.norm(dim=1, keepdim=True) - weight.double()
    found = doctor.effect(whole, {"unet.a": weight}).norm
    assert found == pytest.approx(float(expected.norm()))
    assert abs(found - alone) > 0.1


def test_weights_of_other_shapes_cannot_be_compared() -> None:
    one = LoRA("one", {"unet.a": delta(1, (4, 4), 2)})
    two = LoRA("two", {"unet.a": delta(1, (4, 5), 2)})
    with pytest.raises(WrongBase, match=r"unet\.a: .*\[4, 4\] and \[4, 5\]"):
        doctor.compare(one, two)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 4))
def test_a_pair_is_that_of_the_dense_matrices(a: int, b: int, rank: int) -> None:
    one, two = lora("one", a, "abc", rank), lora("two", b, "bcd", 2, scale=2.0)
    pair = doctor.compare(one, two)
    norms = [{path: float(flat(of, path).norm()) for path in of.deltas} for of in (one, two)]
    totals = [math.hypot(*norm.values()) for norm in norms]
    inner = sum(float((flat(one, p) * flat(two, p)).sum()) for p in ("unet.b", "unet.c"))
    assert pair.shared == 2
    assert pair.cosine == pytest.approx(inner / totals[0] / totals[1], abs=1e-10)
    assert pair.imbalance == pytest.approx(max(totals) / min(totals))
    wanted = {p: norms[0][p] * norms[1][p] / totals[0] / totals[1] for p in ("unet.b", "unet.c")}
    assert {c.path: c.wanted for c in pair.contests} == pytest.approx(wanted)
    assert pair.wanted == pytest.approx(sum(wanted.values()))
    assert pair.contests[0].wanted >= pair.contests[1].wanted
    for contest in pair.contests:
        product = float((flat(one, contest.path) * flat(two, contest.path)).sum())
        sizes = norms[0][contest.path] * norms[1][contest.path]
        assert contest.cosine == pytest.approx(product / sizes, abs=1e-10)


def test_a_lora_is_in_full_conflict_with_itself_and_undone_by_its_opposite() -> None:
    one = lora("one", 1)
    same, opposite = doctor.compare(one, lora("again", 1)), lora("not", 1, scale=-0.5)
    assert (same.reading, same.writing) == pytest.approx((1, 1))
    assert (same.cosine, same.wanted, same.imbalance) == pytest.approx((1, 1, 1))
    assert doctor.compare(one, opposite).cosine == pytest.approx(-1)


def test_loras_of_different_layers_do_not_meet() -> None:
    pair = doctor.compare(lora("one", 1, "ab"), lora("two", 2, "cd"))
    assert (pair.shared, pair.cosine, pair.wanted, pair.contests) == (0, 0.0, 0.0, ())


def test_a_lora_of_nothing_is_endlessly_weaker() -> None:
    assert doctor.compare(lora("one", 1), lora("none", 2, scale=0.0)).imbalance == math.inf


def test_the_effect_of_a_lora_by_layer_component_and_in_all() -> None:
    deltas = {"unet.a": delta(1, (7, 5), 2), "unet.b": delta(2, (6, 3, 3, 3), 2)}
    whole = LoRA("x", {**deltas, "text_encoder.c": delta(3, (4, 4), 1)})
    sizes = doctor.effect(whole)
    dense = {path: float(of.dense(torch.float64).norm()) for path, of in whole.deltas.items()}
    assert sizes.layers == pytest.approx(dense)
    assert sizes.norm == pytest.approx(math.hypot(*dense.values()))
    assert list(sizes.parts()) == ["text_encoder", "unet"]
    assert sizes.parts()["unet"] == pytest.approx(math.hypot(dense["unet.a"], dense["unet.b"]))
    assert sizes.strongest(1)[0][1] == max(sizes.layers.values())


def test_the_effect_relative_to_the_base() -> None:
    sizes = doctor.Effect({"unet.a": 3.0, "unet.b": 4.0})
    weights = {"unet.a": torch.full((3, 3), 2.0), "unet.b": torch.full((4, 4), 2.0)}
    assert doctor.relative(sizes, weights) == pytest.approx(5 / 10)
    with pytest.raises(WrongBase, match=r"unet\.b: the base model has no such weight"):
        doctor.relative(sizes, {"unet.a": weights["unet.a"]})
    with pytest.raises(WrongBase, match="all zero"):
        doctor.relative(sizes, {path: torch.zeros(2, 2) for path in weights})


@given(st.dictionaries(st.text(max_size=3), st.floats(1e-3, 1e3), min_size=1, max_size=5))
def test_equalised_loras_have_equal_norms(norms: dict[str, float]) -> None:
    factors = doctor.equalising(norms)
    sizes = [factors[name] * norms[name] for name in norms]
    assert sizes == pytest.approx([sizes[0]] * len(sizes))
    assert min(norms.values()) <= sizes[0] * (1 + 1e-9)
    assert sizes[0] <= max(norms.values()) * (1 + 1e-9)
    assert doctor.equalising(norms, to=2.0) == pytest.approx(
        {name: 2.0 / norm for name, norm in norms.items()}
    )


@pytest.mark.parametrize("norm", [0.0, -1.0, math.inf, math.nan])
def test_only_positive_norms_can_be_made_equal(norm: float) -> None:
    with pytest.raises(BadOption, match="only positive ones"):
        doctor.equalising({"robot": norm})
    with pytest.raises(BadOption):
        doctor.equalising({"robot": 1.0}, to=norm)


def test_triggers_clash_whatever_their_case() -> None:
    found = doctor.clashes({"a": ["Rbt ", "tin"], "b": ["rbt", "rbt"], "c": ["x", ""], "d": [""]})
    assert found == {"rbt": ("a", "b")}
