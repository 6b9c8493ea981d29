"""Statistics against scipy, against values worked by hand, and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lorafusion.errors import BadOption
from lorafusion.evaluation.statistics.bootstrap import mean_over_sets, over_sets, sign_flip
from lorafusion.evaluation.statistics.correlation import kendall, pearson, ranks, spearman
from lorafusion.evaluation.statistics.pairs import agreement
from lorafusion.evaluation.statistics.raters import krippendorff, weighted_kappa
from lorafusion.evaluation.statistics.wins import duel, duels, holm

halves = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda p: (p[0] / 2, p[1] / 2)),
    min_size=3,
    max_size=30,
)


@settings(deadline=None, max_examples=50)  # scipy's first call takes as long as it takes
@given(halves)
def test_correlations_are_those_of_scipy_also_with_ties(pairs: list[tuple[float, float]]) -> None:
    x, y = np.array(pairs).T
    ours = (pearson(x, y), spearman(x, y), kendall(x, y))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert ours == (None, None, None)
        return
    theirs = (stats.pearsonr(x, y)[0], stats.spearmanr(x, y)[0], stats.kendalltau(x, y)[0])
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_tied_values_share_their_mean_rank() -> None:
    assert ranks(np.array([5.0, 1.0, 5.0, 7.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_a_constant_side_has_no_correlation() -> None:
    assert pearson(np.full(5, 0.1), np.arange(5.0)) is None
    assert pearson(np.array([1.0]), np.array([2.0])) is None


def test_pairs_are_counted_within_sets_and_ties_of_people_are_left_out() -> None:
    people = np.array([1.0, 2.0, 3.0, 9.0, 8.0, 8.0])
    metric = np.array([1.0, 1.0, 2.0, 5.0, 6.0, 7.0])
    found = agreement(metric, people, np.array([0, 0, 0, 1, 1, 1]))
    # Set 0: (1,2) tied by the metric, (1,3) and (2,3) agreed. Set 1: 9 over 8 twice, both denied.
    assert (found.agreed, found.tied, found.pairs) == (2, 1, 5)
    assert found.share == 0.5


def test_without_pairs_there_is_no_share() -> None:
    assert agreement(np.zeros(2), np.zeros(2), np.zeros(2, dtype=int)).share is None


def test_an_interval_has_the_width_of_theory_and_holds_the_mean() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    found = mean_over_sets(values)
    theory = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - theory, rel=0.02)
    assert found.high == pytest.approx(values.mean() + theory, rel=0.02)


def test_intervals_are_the_same_every_time_and_refuse_nothing_to_draw_from() -> None:
    values = np.arange(7.0)
    assert mean_over_sets(values, seed=4) == mean_over_sets(values, seed=4)
    assert mean_over_sets(values, seed=4) != mean_over_sets(values, seed=5)
    with pytest.raises(BadOption, match="0 and 2000"):
        mean_over_sets(np.array([]))


def test_an_interval_is_left_out_where_resamples_are_undefined() -> None:
    found = over_sets(lambda drawn: None if 0 in drawn else 1.0, 2)
    assert (found.low, found.high) == (None, None)


def test_sign_flips_are_counted_exactly_for_few_sets() -> None:
    assert sign_flip(np.ones(3)) == 0.25  # +++ and --- of eight
    assert sign_flip(np.array([1.0, -1.0])) == 1.0
    assert sign_flip(np.ones(40)) == pytest.approx(1 / 10_001)


def test_duels_pair_by_set_and_seed_and_weigh_sets_equally() -> None:
    ours = {("a", 0): 2.0, ("a", 1): 2.0, ("b", 0): 1.0, ("c", 0): 5.0}
    theirs = {("a", 0): 1.0, ("a", 1): 3.0, ("b", 0): 1.0, ("d", 0): 9.0}
    found = duel("x", "y", ours, theirs, draws=50)
    assert found is not None
    assert found.sets == 2  # c and d have no partner
    assert (found.wins.value, found.ties.value, found.losses.value) == (0.25, 0.5, 0.25)
    assert found.difference.value == 0.0
    assert duel("x", "y", {("a", 0): 1.0}, {("b", 0): 1.0}) is None


def test_seeds_of_one_set_do_not_make_an_interval_narrower() -> None:
    def scores(seeds: int, shift: float) -> dict[tuple[str, int], float]:
        return {(f"s{i}", k): (i % 5) + shift * (i % 3) for i in range(20) for k in range(seeds)}

    one = duel("x", "y", scores(1, 1.0), scores(1, 0.0), draws=50)
    many = duel("x", "y", scores(50, 1.0), scores(50, 0.0), draws=50)
    assert one is not None
    assert many is not None
    assert one.difference == many.difference
    assert one.p == many.p


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_all_pairs_of_methods_are_corrected_together() -> None:
    scores = {
        name: {(f"s{i}", 0): shift + i for i in range(10)}
        for name, shift in (("a", 0.0), ("b", 1.0), ("c", 2.0))
    }
    found = duels(scores, draws=50)
    assert [(one.first, one.second) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(one.corrected == pytest.approx(3 * one.p) for one in found)
    assert all(one.losses.value == 1.0 for one in found)


def test_krippendorff_on_the_example_of_his_article() -> None:
    nan = np.nan
    ratings = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    )
    assert krippendorff(ratings) == pytest.approx(0.849, abs=5e-4)
    assert krippendorff(np.ones((2, 4))) is None
    assert krippendorff(np.array([[1.0, nan], [nan, 2.0]])) is None


def test_weighted_kappa_by_hand() -> None:
    a, b = np.array([1.0, 2.0, 3.0, np.nan]), np.array([1.0, 3.0, 3.0, 5.0])
    # Observed (0 + 1 + 0) / 3; expected over all nine pairs (0+4+4 + 1+1+1 + 4+0+0) / 9.
    assert weighted_kappa(a, b) == pytest.approx(1 - (1 / 3) / (15 / 9))
    assert weighted_kappa(a, a) == 1.0
    assert weighted_kappa(np.array([np.nan]), np.array([1.0])) is None
