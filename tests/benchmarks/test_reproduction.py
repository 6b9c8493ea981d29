"""The reproduction's page says what the results say, and its experiments can be run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reproduction import oracles
from benchmarks.reproduction.__main__ import HERE, PAGE, PEOPLE, experiments, results
from benchmarks.reproduction.measure import measured
from benchmarks.reproduction.page import page
from benchmarks.reproduction.verdict import verdict
from lorafusion.evaluation.runner.config import read_bench
from lorafusion.evaluation.runner.run import run
from tests.conftest import shared_pipeline
from tests.evaluation.benches import bench, opener

PICTURED = [one["name"] for one in experiments() if one["name"] != PEOPLE]


def test_the_page_is_what_the_results_say() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(experiments(), results()), (
        "run `python -m benchmarks.reproduction --pages`"
    )


@pytest.mark.parametrize("name", PICTURED)
def test_an_experiment_can_be_read_and_asks_for_what_it_measures(name: str) -> None:
    asked = next(one for one in experiments() if one["name"] == name)
    bench = read_bench(HERE / f"{name}.toml")
    arms = {arm.name for arm in bench.arms}
    # Every table has the base alone as a control.
    assert any(arm.method == "naive" for arm in bench.arms)
    assert bench.bed.combinations
    words = {str(one.options.get("word", "")) for one in bench.metrics}
    for claim in asked.get("claim", ()):
        assert {claim["first"], claim["second"]} <= arms, claim["says"]
    measures = {claim["measure"] for claim in asked.get("claim", ())} | set(asked["measures"])
    for measure in measures | set(asked.get("by_size", ())):
        kind = measure.removeprefix("all_").removeprefix("elements_")
        assert kind in words | {"naturalness"} or measure.startswith("clip_"), measure


def test_files_that_share_a_folder_agree() -> None:
    shared: dict[Path, tuple[object, dict[str, object]]] = {}
    for name in PICTURED:
        bench = read_bench(HERE / f"{name}.toml")
        text, arms = shared.setdefault(bench.out, (bench.text, {}))
        assert text == bench.text, name
        for arm in bench.arms:
            own = {key: value for key, value in arm.changes.items() if key != "sets"}
            known = arms.setdefault(arm.name, (arm.method, arm.options, arm.budget, own))
            assert known == (arm.method, arm.options, arm.budget, own), f"{name}: {arm.name}"
    assert len(shared) < len(PICTURED)


def test_every_file_is_asked_for() -> None:
    files = {path.stem for path in HERE.glob("*.toml")} - {"questions"}
    assert files == set(PICTURED)


def test_the_commands_for_real_bases_are_files_that_a_run_takes(tmp_path: Path) -> None:
    text = (HERE / "real.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n# papers/(\w+)\.toml(.*?)```", text, re.DOTALL)
    assert [name for name, _ in blocks] == ["composlora", "table5"]
    for name, block in blocks:
        file = tmp_path / f"{name}.toml"
        file.write_text("#" + block)
        bench = read_bench(file)
        assert f"lorafusion bench run papers/{name}.toml" in text
        arms = {arm.name for arm in bench.arms}
        for first, second in re.findall(rf"bench judge papers/{name}\.toml (\S+) (\S+)", text):
            assert {first, second} <= arms


ESTIMATE = {"value": 0.25, "low": 0.2, "high": 0.3}
DUEL = {
    "wins": ESTIMATE, "ties": ESTIMATE, "losses": ESTIMATE, "difference": ESTIMATE, "p": 0.01,
    "corrected": 0.02, "sets": 2,
}  # fmt: skip


def arm(name: str) -> dict[str, Any]:
    measures = {"clip_custom_diffusion": ESTIMATE | {"sets": 2}}
    return {"arm": name, "images": 4, "sets": 2, "measures": measures, "by_size": {}}


def test_a_result_appears_with_interval_and_verdict_and_without_one_its_command() -> None:
    claim = next(one for one in experiments() if one["name"] == "table5")["claim"][0]
    found: dict[str, Any] = {
        "provenance": {"revision": "abcdef0123456789", "machine": {"processor": "a chip"}},
        "report": {
            "run": {
                "testbed": "pocket", "sets": {"3": 2}, "seeds": 2, "router": "cosine",
                "steps": {"pocket": 10}, "arms": [{"changes": {}}, {"changes": {"steps": 30}}],
            },
            "about": ["m: a measure"], "measures": ["clip_custom_diffusion"],
            "arms": [arm("nla"), arm("fusion")], "sizes": {}, "claims": [claim | {"duels": {"": DUEL}}],
        },
    }  # fmt: skip
    text = page(experiments(), {"table5": found})
    assert "| `nla` | 2 | 0.25 [0.2, 0.3] |" in text
    assert "2 seeds a set, 10 or 30 steps" in text
    assert "revision abcdef012345, a chip" in text
    assert (
        "| LoRA Fusion is above NLA | clip_custom_diffusion | 0.25 [0.2, 0.3] | 25% / 25% / 25% | 0.02 | **holds** |"
        in text
    )
    assert "--only table5" not in text
    assert "--only numbers" in text


def test_oracles_are_of_the_sets_that_are_drawn_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(oracles, "OUT", tmp_path)
    monkeypatch.setattr(
        oracles.oracle, "train", lambda _s, _b, names, _w: asked.append("+".join(names))
    )
    monkeypatch.setattr("sys.argv", ["oracles", "--sizes", "2", "3", "--each", "2"])
    (tmp_path / "oracles").mkdir()
    oracles.main()
    assert sorted(asked) == ["fox+beach", "fox+city+balloon", "panda+city", "panda+sketch+library"]
    (tmp_path / "oracles" / "fox+beach.safetensors").touch()
    asked.clear()
    oracles.main()
    assert len(asked) == 3


def test_a_verdict_needs_a_small_p_and_the_right_sign() -> None:
    assert verdict(DUEL) == "**holds**"
    assert verdict(DUEL | {"corrected": 0.05}) == "open"
    less = {"value": -0.25, "low": -0.3, "high": -0.2}
    assert verdict(DUEL | {"difference": less}) == "**the reverse**"


def test_a_claim_is_told_from_its_first_method_and_by_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path / "cache"))
    pipe = shared_pipeline("sd")
    made = bench(tmp_path, 'methods = ["naive", "merge"]\nmetrics = ["spread"]', pipe)
    run(made, opener(pipe))
    pairs = [("merge", "naive"), ("naive", "merge")]
    claims = [{"says": "", "first": a, "second": b, "measure": "spread"} for a, b in pairs]
    found = measured(made, claims)
    assert set(found["sizes"]) == {"2", "3"}
    one, other = (claim["duels"] for claim in found["claims"])
    assert set(one) == set(other) == {"", "2", "3"}
    for size, duel in one.items():
        assert duel["difference"]["value"] == -other[size]["difference"]["value"]
        assert duel["wins"] == other[size]["losses"]
        assert duel["corrected"] == pytest.approx(min(1.0, 2 * duel["p"]))
        low, high = duel["difference"]["low"], duel["difference"]["high"]
        assert (low, high) == (
            -other[size]["difference"]["high"],
            -other[size]["difference"]["low"],
        )
