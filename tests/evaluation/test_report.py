"""Reports: values belong to pixels, tables say what the values are, nothing outside is needed."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lorafusion.evaluation.report.plot import plot
from lorafusion.evaluation.report.scores import score
from lorafusion.evaluation.report.tables import comma, latex, markdown
from lorafusion.evaluation.report.write import report
from lorafusion.evaluation.runner.config import Bench, Measured
from lorafusion.evaluation.runner.run import run
from lorafusion.record import read_record, save
from tests.conftest import shared_pipeline
from tests.evaluation import models
from tests.evaluation.benches import bench, opener

CHANGES = 'methods = ["naive", {name = "alone", label = "by-itself"}, "merge"]\nsizes = [2]'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("report")
    clip = models.clip(folder / "clip")
    metrics = f'metrics = ["spread", {{ name = "clip", model = "{clip}" }}]'
    made = bench(folder, f"{CHANGES}\n{metrics}", shared_pipeline("sd"))
    run(made, opener(shared_pipeline("sd")))
    return made


def test_everything_is_written_and_the_page_needs_nothing_else(made: Bench) -> None:
    told, files = report(made, draws=20)
    names = {path.name for path in files}
    assert {
        "report.json",
        "table.md",
        "table.tex",
        "table.csv",
        "index.html",
        "spread.svg",
    } <= names
    page = (made.out / "report" / "index.html").read_text()
    assert page.count("<img") == 2 * (1 + 2 + 1)
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "<script" not in page
    assert "{&#x27;" not in page  # words for people, no Python
    assert json.loads((made.out / "report" / "report.json").read_text()) == told


def test_rows_are_means_over_sets_of_means_over_seeds(made: Bench) -> None:
    told, _ = report(made, draws=20)
    scored = score(made, made.metrics[0])
    merge = next(row for row in told["arms"] if row["arm"] == "merge")
    by_set: dict[str, list[float]] = {}
    for name, measures in scored.values.items():
        if "/merge/" in name:
            by_set.setdefault(name.partition("/")[0], []).append(measures["spread"])
    means = [sum(values) / len(values) for values in by_set.values()]
    assert merge["measures"]["spread"]["value"] == pytest.approx(sum(means) / 2)
    assert (merge["sets"], merge["images"]) == (2, 4)
    alone = next(row for row in told["arms"] if row["arm"] == "by-itself")
    assert alone["images"] == 8
    assert [(one["first"], one["second"]) for one in told["duels"]["spread"]] == [
        ("naive", "merge")
    ]


def test_scores_are_kept_and_follow_the_pixels(made: Bench) -> None:
    first = score(made, Measured("spread", {}))
    kept = made.out / "scores" / "spread.json"
    when = kept.stat().st_mtime_ns
    assert score(made, Measured("spread", {})) == first
    assert kept.stat().st_mtime_ns == when
    path = next((made.out / "images").rglob("merge/0.png"))
    old, before = read_record(path), path.read_bytes()
    save(models.image(9, (16, 16)), replace(old, pixels="another"), path)
    assert score(made, Measured("spread", {})).values != first.values
    path.write_bytes(before)
    assert score(made, Measured("spread", {})).values == first.values


def test_tables_say_the_same_in_three_languages(made: Bench) -> None:
    told, _ = report(made, draws=20)
    value = next(r for r in told["arms"] if r["arm"] == "naive")["measures"]["spread"]["value"]
    assert f"| naive | 2 | 4 | {value:.4g} [" in markdown(told)
    text = latex(told)
    assert text.count("\\\\") == 1 + len(told["arms"])
    assert "clip\\_cosine" in text
    rows = list(csv.DictReader(io.StringIO(comma(told))))
    whole = [r for r in rows if (r["arm"], r["measure"], r["loras"]) == ("naive", "spread", "")]
    assert float(whole[0]["value"]) == value


def test_plots_are_whole_pictures(made: Bench) -> None:
    told, _ = report(made, draws=20)
    root = ElementTree.fromstring(plot(told, "spread"))  # noqa: S314  our own text
    circles = [node for node in root.iter() if node.tag.endswith("circle")]
    assert len(circles) == 3


def test_a_plot_takes_no_room_for_what_it_does_not_draw() -> None:
    def drawn(*sizes: int) -> str:
        one = {"value": 0.5, "low": 0.4, "high": 0.6}
        by_size = {str(size): {"seen": 0.5} for size in sizes}
        row = {"arm": "merge", "measures": {"seen": one}, "by_size": by_size}
        return plot({"arms": [row]}, "seen")

    assert "<polyline" in drawn(2, 3)
    assert "<polyline" not in drawn(2)
    small, large = (re.search(r'width="(\d+)" height="(\d+)"', drawn(*s)) for s in ((2,), (2, 3)))
    assert small is not None
    assert large is not None
    assert all(int(a) < int(b) for a, b in zip(small.groups(), large.groups(), strict=True))
