"""The bench commands from the command line, on a tiny base model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lorafusion.evaluation.people.store import Store
from tests import tiny
from tests.cli.conftest import lf as lf
from tests.evaluation import models
from tests.evaluation.benches import pixels, written
from tests.evaluation.servers import misbehaving


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    pipe = tiny.pipeline("sd")
    pipe.save_pretrained(folder / "base")
    changes = f"""
methods = ["naive", "merge"]
sizes = [2]
seeds = 1
base = "{folder / "base"}"
device = "cpu"
"""
    return written(folder, changes, pipe)


def test_run_report_judge_and_ratings(lf, file: Path, tmp_path: Path) -> None:
    ran = lf("bench", "run", file, "--json")
    assert (ran.code, ran.json["images"], ran.json["made"]) == (0, 4, 4)
    assert "4 of 4 images" in ran.err
    again = lf("bench", "run", file)
    assert "4 images, 0 of them made just now" in again.out
    out = file.with_name("out")
    assert len(pixels(out)) == 4

    ran = lf("bench", "report", file, "--draws", "20")
    assert ran.code == 0
    assert "index.html" in ran.out
    assert lf("bench", "report", file, "--draws", "20", "--json").json["run"]["testbed"] == "tiny"

    with misbehaving(429) as server:
        words = ("bench", "judge", file, "naive", "merge", "--model", "eyes", "--url", server.url)
        asked = lf(*words)
        assert asked.code == 2
        assert "4 questions, 0 of them answered before" in asked.err
        assert server.seen == []  # the cost comes first
        ran = lf(*words, "--yes", "--workers", "2", "--price-in", "2", "--price-out", "8")
    assert "in your currency" in ran.err
    assert "2 of 2 pairs answered in both orders" in ran.out
    assert "rate limit" in ran.out
    kept = json.loads((out / "judge" / "eyes-naive-merge.json").read_text())
    assert kept["axes"]["composition"]["first place wins"] == 1
    assert len(kept["verdicts"]) == 2

    store = Store(out / "people")
    for cell in pixels(out):
        store.add("ann", f"one/{cell.removesuffix('.png')}", {"composition": "4", "image": "2"})
    told = lf("bench", "ratings", file, "--out", tmp_path / "r.csv", "--json").json
    assert (told["raters"], told["rows"]) == (["ann"], 4)
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert {row["human1_composition"] for row in rows} == {"4"}
    assert lf("bench", "ratings", file, "--choices", "--out", tmp_path / "c.csv").code == 0


def test_what_cannot_be_is_said_in_one_line(lf, file: Path, tmp_path: Path) -> None:
    words = ("--model", str(models.clip(tmp_path / "clip")))
    for asked in (
        ("bench", "run", tmp_path / "no.toml"),
        ("bench", "rate", file, "--pair", "merge"),
        ("bench", "judge", file, "naive", "merge", *words, "--price-in", "1"),
        ("bench", "judge", file, "naive", "merge", *words),
    ):
        ran = lf(*asked)
        assert ran.code == 2, asked
        assert ran.err.count("\n") == 1
