from __future__ import annotations

import pytest

from benchmarks.routing.metrics import Answer, answer, calibration_error, measure, reliability
from benchmarks.routing.runs import Run, fit, runs
from lorafusion.plan import Candidate, Route
from lorafusion.routing import ROUTERS
from tests.routing.test_peers import Named


def found(wants: str, weights: dict[str, float], **scores: float) -> Answer:
    return Answer(frozenset(wants.split()), weights, scores)


THREE = [
    found("a b", {"a": 0.9, "c": 0.2}, a=0.9, b=0.1, c=0.5),
    found("a", {"a": 0.8}, a=0.9, b=0.3, c=0.1),
    found("", {"b": 0.25}, a=0.1, b=0.4, c=0.2),
]


def test_metrics_by_hand() -> None:
    """Right: a, a. Wrong: c and b chosen, b missed. F1 = 2·2 / (2·2 + 2 + 1)."""
    row = measure(THREE)
    assert row["prompts"] == 3
    assert row["f1"] == pytest.approx(4 / 7, abs=1e-4)
    assert row["precision"] == 0.5
    assert row["recall"] == pytest.approx(2 / 3, abs=1e-4)
    assert row["exact"] == pytest.approx(1 / 3, abs=1e-4)
    assert row["false picks"] == 1.0
    assert row["separable"] == 0.5
    # the first prompt: b has weight 0 and c 0.2; the second: a has 0.8 and the others 0
    assert row["margin"] == pytest.approx((-0.2 + 0.8) / 2)


def test_nothing_to_measure_is_not_a_number() -> None:
    row = measure([found("", {}, a=0.1)])
    assert (row["f1"], row["separable"], row["calibration error"]) == (None, None, None)
    assert (row["false picks"], row["exact"]) == (0.0, 1.0)
    wrong = measure([found("", {"a": 1.0}, a=0.1)])
    assert (wrong["f1"], wrong["precision"], wrong["false picks"]) == (None, None, 1.0)
    assert measure([found("a", {}, a=0.1)])["false picks"] is None


def test_reliability_by_hand() -> None:
    """Bins: 0.2 and 0.25 with none right, 0.8 right, 0.9 right: (2·0.225 + 0.2 + 0.1) / 4."""
    bins = reliability(THREE)
    assert [(b["count"], b["mean weight"], b["right"]) for b in bins] == [
        (2, 0.225, 0.0),
        (1, 0.8, 1.0),
        (1, 0.9, 1.0),
    ]
    assert calibration_error(bins) == pytest.approx((2 * 0.225 + 0.2 + 0.1) / 4)


def test_a_weight_above_one_is_in_the_last_bin() -> None:
    assert [b["from"] for b in reliability([found("a", {"a": 1.3}, a=1)])] == [0.9]


def test_an_answer_is_what_a_route_chose() -> None:
    route = Route(
        "p", (Candidate(Named("a"), 0.5, 1.0), Candidate(Named("b"), 0.2, 0.0, left_out="far"))
    )
    assert answer(route, frozenset("a")) == found("a", {"a": 1.0}, a=0.5, b=0.2)


def test_a_threshold_is_chosen_for_the_best_f1() -> None:
    """At 0.5: a, a right and one missed, nothing wrong; at 0.1 everything is chosen."""
    tune = [found("a b", {}, a=0.9, b=0.1, c=0.3), found("a", {}, a=0.5, b=0.2, c=0.4)]
    fitted = fit(Run("r", "cosine", fitted="threshold"), tune)
    assert fitted.options == {"threshold": pytest.approx(0.5, abs=1e-5)}
    assert fitted.options["threshold"] <= 0.5


def test_a_k_is_chosen_for_the_best_f1() -> None:
    tune = [found("a b", {}, a=0.9, b=0.8, c=0.3), found("a c", {}, a=0.5, b=0.2, c=0.4)]
    assert fit(Run("r", "cosine", fitted="top_k"), tune).options == {"top_k": 2}


def test_a_run_without_a_free_option_stays_as_it_is() -> None:
    run = Run("r", "triggers")
    assert fit(run, THREE) is run


def test_every_router_of_the_package_has_a_row() -> None:
    # The ablation of equation 1 is there to be looked at, not to choose LoRAs with.
    assert {run.router for run in runs()} == set(ROUTERS) - {"ablation"}
    labels = [run.label for run in runs()]
    assert len(set(labels)) == len(labels)
