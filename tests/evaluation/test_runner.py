"""The runner: what it makes, that nothing is made twice, and that kills leave no trace."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lorafusion.errors import BadOption, InputError, UnreadableFile
from lorafusion.evaluation.runner.cells import units
from lorafusion.evaluation.runner.claim import claimed
from lorafusion.evaluation.runner.config import read_bench
from lorafusion.evaluation.runner.run import run
from lorafusion.evaluation.runner.weigh import opened
from lorafusion.methods import plan
from lorafusion.record import read_record
from tests import tiny
from tests.conftest import shared_pipeline
from tests.evaluation.benches import IMAGES, bench, opener, pixels, written
from tests.methods.test_methods import route


class Letters:
    id = "letters"

    def encode(self, texts: list[str]) -> object:
        rows = [[text.count(c) + 0.1 for c in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        return torch.nn.functional.normalize(torch.tensor(rows), dim=1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("batch", [1, 5])
def test_a_run_killed_three_times_equals_one_that_was_not(tmp_path: Path, batch: int) -> None:
    root = Path(__file__).parents[2]
    killed = written(tmp_path / "killed", f"batch = {batch}")
    subprocess.run(
        [sys.executable, "-m", "tests.evaluation.killed", killed, "3"], cwd=root, check=True
    )
    whole = bench(tmp_path / "whole", f"batch = {batch}")
    told: list[tuple[int, int]] = []
    done = run(whole, opener(tiny.pipeline("sd")), on_image=lambda *seen: told.append(seen))
    assert (done.made, done.images) == (IMAGES, IMAGES)
    assert told == [(i, IMAGES) for i in [*range(1, IMAGES + 1), IMAGES]]
    out = tmp_path / "killed" / "out"
    assert pixels(out) == pixels(whole.out)
    assert 0 < int((out / "at-the-kill").read_text()) < IMAGES
    assert list(out.rglob(".*.tmp")) == []
    assert run(whole, opener(None)).made == 0  # nothing is even opened


def test_an_image_depends_on_its_set_and_seed_alone(tmp_path: Path) -> None:
    pipe = shared_pipeline("sd")
    all_sets = bench(tmp_path / "a", 'methods = ["merge"]')
    run(all_sets, opener(pipe))
    few = bench(tmp_path / "b", 'methods = ["merge"]\nseeds = 1\nsizes = [3]')
    run(few, opener(pipe))
    made = pixels(few.out)
    assert len(made) == 1
    assert made.items() <= pixels(all_sets.out).items()
    seeds = {read_record(path).seed for path in all_sets.out.rglob("*.png")}
    assert len(seeds) == 6  # three sets of two


def test_records_say_what_each_arm_did(tmp_path: Path) -> None:
    changes = """
methods = ["naive", "alone", "nla", "switch"]
seeds = 1
sizes = [3]
budgets = [1.5, "full"]
strength = 0.8
"""
    made = bench(tmp_path, changes)
    run(made, opener(shared_pipeline("sd")))
    by = {
        path.relative_to(made.out / "images").as_posix().partition("/")[2]: read_record(path)
        for path in made.out.rglob("*.png")
    }
    assert sorted(by) == [
        "alone/0-crown.png", "alone/0-library.png", "alone/0-robot.png", "naive/0.png",
        "nla+1.5/0.png", "nla+full/0.png", "switch+1.5/0.png", "switch+full/0.png",
    ]  # fmt: skip
    gates = {name: sum(used.gate for used in record.loras) for name, record in by.items()}
    assert gates["naive/0.png"] == 0
    assert gates["alone/0-robot.png"] == 1  # as trained, whatever the strength
    assert gates["nla+1.5/0.png"] == pytest.approx(1.5)
    assert gates["switch+full/0.png"] == pytest.approx(3)
    assert [used.name for used in by["alone/0-robot.png"].loras] == ["robot"]
    assert len({record.seed for record in by.values()}) == 1


def test_opened_is_the_sum_of_gates() -> None:
    asked = route([1 / 3] * 3)
    names = ("merge", "nla", "switch", "composite")
    totals = {name: opened(plan(name, asked, 6)) for name in names}
    assert totals == pytest.approx({"merge": 3, "nla": 1, "switch": 1, "composite": 1})


def test_an_oracle_is_made_where_there_is_a_file(tmp_path: Path) -> None:
    pipe = shared_pipeline("sd")
    (tmp_path / "oracles").mkdir()
    save_file(tiny.state_dict(pipe, seed=9), tmp_path / "oracles" / "one-robot-crown.safetensors")
    made = bench(tmp_path, 'methods = ["oracle"]\noracles = "oracles"\nseeds = 1')
    assert [unit.combination.name for unit in units(made)] == ["one-robot-crown"]
    run(made, opener(pipe))
    record = read_record(next(made.out.rglob("*.png")))
    assert [used.name for used in record.loras] == ["one-robot-crown"]


def test_the_router_weighs_a_sets_loras_among_themselves(tmp_path: Path) -> None:
    pipe = shared_pipeline("sd")
    made = bench(tmp_path, 'methods = ["fusion"]\nrouter = "cosine"\nseeds = 1\nsizes = [3]', pipe)
    run(made, opener(pipe), Letters())
    for path in made.out.rglob("*.png"):
        record = read_record(path)
        assert len(record.loras) == 3
        assert sum(used.weight for used in record.loras) == pytest.approx(1)
        assert record.router.startswith("cosine(given")
    free = bench(
        tmp_path / "free",
        'methods = ["fusion"]\nrouter = "cosine"\nseeds = 1\nsets = 1\nsizes = [2]\nchoice = "routed"',
        pipe,
    )
    run(free, opener(pipe), Letters())
    assert {len(read_record(path).loras) for path in free.out.rglob("*.png")} == {3}
    with pytest.raises(BadOption, match="give it an encoder"):
        run(bench(tmp_path / "none", 'methods = ["fusion"]\nrouter = "cosine"'), opener(pipe))


def test_a_folder_can_grow_and_holds_one_kind_of_image(tmp_path: Path) -> None:
    pipe = shared_pipeline("sd")
    first = bench(tmp_path, 'methods = ["naive", "merge"]\nseeds = 1\nsizes = [2]')
    assert run(first, opener(pipe)).made == 4
    before = pixels(first.out)
    # More sets, seeds and methods: what is there stays.
    more = 'methods = ["merge", "nla"]\nseeds = 2'
    assert run(bench(tmp_path, more), opener(pipe)).made == 3 * 4 - 2
    assert before.items() < pixels(first.out).items()
    for other in ('router = "cosine"', "batch = 2", "steps = 3"):
        with pytest.raises(BadOption, match=r"belongs to a run with another"):
            run(bench(tmp_path, f"{more}\n{other}"), opener(pipe), Letters())
    with pytest.raises(BadOption, match=r"arm-merge.json.* another strength"):
        run(bench(tmp_path, f"{more}\nstrength = 0.5"), opener(pipe))
    stranger = 'methods = [{ name = "svd", label = "merge" }]'
    with pytest.raises(BadOption, match=r"arm-merge.json.* another method"):
        run(bench(tmp_path, stranger), opener(pipe))
    save_file(tiny.state_dict(pipe, seed=7), tmp_path / "loras" / "crown.safetensors")
    changed = read_bench(tmp_path / "bench.toml")
    with pytest.raises(BadOption, match=r"another sha256|another method"):
        run(changed, opener(pipe))


def test_an_arm_may_have_its_own_strength_steps_guidance_and_router(tmp_path: Path) -> None:
    arms = (
        '{ name = "merge", strength = 1.5 }',
        '{ name = "alone", strength = 0.5 }',
        '{ name = "merge", label = "slow", steps = 3, guidance_scale = 2.5 }',
        '{ name = "fusion", label = "weighed", router = "cosine", router_options = { temperature = 0.5 } }',
    )
    changes = f"methods = [{', '.join(arms)}]\nseeds = 1\nsizes = [3]"
    made = bench(tmp_path, changes)
    assert made.routed
    run(made, opener(shared_pipeline("sd")), Letters())
    by = {path.parent.name: read_record(path) for path in made.out.rglob("*.png")}
    assert sorted(by) == [
        "alone,strength=0.5", "merge,strength=1.5", "slow", "weighed",
    ]  # fmt: skip
    assert {used.gate for used in by["merge,strength=1.5"].loras} == {1.5}
    assert {used.gate for used in by["alone,strength=0.5"].loras} == {0.5}
    assert (by["slow"].steps, by["slow"].guidance_scale) == (3, 2.5)
    assert by["merge,strength=1.5"].steps == 2
    assert by["weighed"].router == "cosine(given, temperature=0.5)"
    assert len({record.seed for record in by.values()}) == 1


def test_an_arm_may_be_made_on_some_sets_alone(tmp_path: Path) -> None:
    made = bench(tmp_path, 'methods = ["naive", { name = "alone", sets = 1 }]\nseeds = 1')
    counts = {unit.arm.name: 0 for unit in units(made)}
    for unit in units(made):
        counts[unit.arm.name] += 1
    assert counts == {"naive": 3, "alone": 1}
    assert [arm.name for arm in made.arms] == ["naive", "alone"]
    few = bench(tmp_path, "sizes = [2, 3]\nsets = [2, 1]")
    assert few.bed.sizes == {2: 2, 3: 1}
    left = bench(tmp_path, 'without = ["crown"]')
    assert [one.name for one in left.bed.combinations] == ["one-robot-library"]


def test_images_made_together_are_those_made_alone_up_to_rounding(tmp_path: Path) -> None:
    pipe = shared_pipeline("sd")
    methods = 'methods = ["naive", "alone", "merge", "switch", "composite", "svdiff"]\nseeds = 1'
    alone, together = bench(tmp_path / "a", methods), bench(tmp_path / "b", f"{methods}\nbatch = 4")
    assert run(alone, opener(pipe)).made == run(together, opener(pipe)).made
    for path in sorted((alone.out / "images").rglob("*.png")):
        other = together.out / path.relative_to(alone.out)
        with Image.open(path) as one, Image.open(other) as two:
            apart = np.abs(np.asarray(one, np.int16) - np.asarray(two, np.int16))
        assert apart.max() <= 1
    assert len(list(together.out.rglob(".batches.json"))) == 3


def test_a_batch_that_was_begun_is_made_again_as_it_was(tmp_path: Path) -> None:
    pipe = shared_pipeline("sd")
    made = bench(tmp_path, 'methods = ["naive", "merge", "nla"]\nseeds = 2\nsizes = [2]\nbatch = 4')
    run(made, opener(pipe))
    before = pixels(made.out)
    gone = sorted(made.out.rglob("*.png"))[::3]
    for path in gone:
        path.unlink()
    assert run(made, opener(pipe)).made == len(gone)
    assert pixels(made.out) == before


def test_another_base_model_is_not_mixed_in(tmp_path: Path) -> None:
    first = bench(tmp_path, 'methods = ["naive"]\nseeds = 1')
    run(first, opener(shared_pipeline("sd")))
    next(first.out.rglob("*.png")).unlink()
    with pytest.raises(BadOption, match="another fingerprint"):
        run(first, opener(tiny.pipeline("sd", seed=5)))


def test_a_claim_is_exclusive_and_sweeps_halves(tmp_path: Path) -> None:
    folder = tmp_path / "unit"
    with claimed(folder) as first, claimed(folder) as second:
        assert (first, second) == (True, False)
    (folder / ".half.tmp").write_text("x")
    with claimed(folder) as again:
        assert again
        assert not (folder / ".half.tmp").exists()


def test_a_missing_lora_is_named_before_anything_is_opened(tmp_path: Path) -> None:
    made = bench(tmp_path)
    (tmp_path / "loras" / "crown.safetensors").unlink()
    with pytest.raises(UnreadableFile, match="1 of 3 LoRAs of testbed 'tiny' are not there"):
        run(made, opener(None))


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ('methods = ["mrge"]', "Did you mean 'merge'"),
        ('methods = [{ name = "switch", perod = 2 }]', "Did you mean 'period'"),
        ('methods = ["merge", "merge"]', "two methods are called 'merge'"),
        ('methods = [{ name = "merge", label = "a/b" }]', "is no file name"),
        ("methods = []", "methods is empty"),
        ("methods = [3]", "a method is 3"),
        ("seeds = 0", "at least 1 image"),
        ("batch = 0", "batch is 0"),
        ('methods = [{ name = "merge", steps = 0 }]', "steps is 0"),
        ('methods = [{ name = "merge", strength = "1" }]', "strength is '1', expected a number"),
        ('methods = [{ name = "merge", router = "cosin" }]', "Did you mean 'cosine'"),
        ('methods = [{ name = "alone", period = 2 }]', "Unknown option of method 'alone'"),
        ("budgets = [0]", "a budget is 0"),
        ("budgets = [true]", "a budget is True"),
        ('router = "cosin"', "Did you mean 'cosine'"),
        ('choice = "free"', "Unknown choice"),
        ('encoder = "pipeline"', "several base models"),
        ("sets = 4", "sets is 4"),
        ('without = ["crwn"]', "Did you mean 'crown'"),
        ('without = ["robot"]', "has no set without robot"),
        ("sets = [1]", "one number for each of sizes"),
        ("steps = 0", "steps is 0"),
        ('testbed = "no.toml"', "no such file"),
        ('speed = "high"', "Unknown field 'speed'"),
        ("router_options = { temperature = 1 }", "option of router 'equal'"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, changes: str, seen: str) -> None:
    file = written(tmp_path, changes, shared_pipeline("sd"))
    with pytest.raises(InputError, match=seen) as caught:
        read_bench(file)
    assert "\n" not in str(caught.value)


def test_steps_replace_those_of_the_testbed(tmp_path: Path) -> None:
    made = bench(tmp_path, "steps = 5", shared_pipeline("sd"))
    assert made.bed.settings["one"].steps == 5
    assert replace(made.bed, settings={}).combinations == made.bed.combinations
