from __future__ import annotations

import json
from collections import Counter
from itertools import combinations

import pytest

from benchmarks.routing.catalogue import ABSENT, DATA, SETS, TUNING, cases, catalogue
from benchmarks.routing.make import case, composlora, table3, thousand

FILES = sorted({"table3" if name == "table3-literal" else name for name in SETS})
SPLITS = ("tune", "second", "heldout")


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("split", SPLITS)
def test_every_wanted_lora_is_in_the_catalogue(name: str, split: str) -> None:
    names = {entry.name for entry in catalogue(SETS[name])}
    found = cases(name, split)
    assert all(each.wants <= names and each.prompt.strip() for each in found)


def test_sets_are_as_large_as_they_should_be() -> None:
    sizes = {name: sum(len(cases(name, split)) for split in SPLITS) for name in FILES}
    assert sizes["table3"] >= 900
    assert sizes["nothing"] == 400
    assert sizes["senses"] >= 195
    assert sizes["meanings"] >= 145
    assert sizes["dozen"] == 80
    assert sizes["composlora-triggers"] == sizes["composlora-sentences"] == 720
    assert sizes["thousand"] == 900
    assert len(catalogue("table3")) == len(catalogue("table3-literal")) == 12
    assert len(catalogue("composlora")) == 22
    assert len(catalogue("thousand")) == 1000


@pytest.mark.parametrize("name", FILES)
def test_splits_share_no_prompt_and_no_wording(name: str) -> None:
    rows = {
        split: [
            json.loads(line)
            for line in (DATA / f"{name}.{split}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for split in SPLITS
        if (name, split) not in ABSENT
    }
    prompts, families = (
        {split: {row[field].casefold() for row in found} for split, found in rows.items()}
        for field in ("prompt", "family")
    )
    for one, other in combinations(rows, 2):
        assert not prompts[one] & prompts[other]
        generated = families[one] & families[other] - {"hand", "nothing", "triggers"}
        assert generated == set()
    assert all(len({row["prompt"] for row in found}) == len(found) for found in rows.values())


def test_wanted_numbers_are_spread() -> None:
    for split in SPLITS:
        table3_sizes = Counter(len(each.wants) for each in cases("table3", split))
        assert set(table3_sizes) == {0, 1, 2, 3, 4}
        assert min(table3_sizes.values()) >= 15
        assert set(Counter(len(e.wants) for e in cases("thousand", split)).values()) == {60}
    assert all(not each.wants for split in SPLITS for each in cases("nothing", split))


def test_composlora_has_its_480_sets() -> None:
    every = [each.wants for each in cases("composlora-triggers", *TUNING)]
    assert Counter(map(len, every)) == {2: 48, 3: 144, 4: 192, 5: 96}
    assert len(set(every)) == 480
    category = {entry.name: entry.category for entry in catalogue("composlora")}
    for wants in every:
        kinds = [category[name] for name in wants]
        assert kinds.count("character") == 1
        assert len(set(kinds)) == len(kinds)
        assert len({name.partition("-")[0] for name in wants}) == 1


def test_the_library_of_1000_is_distinct() -> None:
    entries = catalogue("thousand")
    for texts in (
        [e.text for e in entries],
        [e.name for e in entries],
        [e.triggers for e in entries],
    ):
        assert len(set(texts)) == 1000
    found = json.loads((DATA / "thousand-distinctness.json").read_text(encoding="utf-8"))
    assert found["of one head"]["most"] <= 0.95
    assert found["of different heads"]["most"] <= 0.90


def test_the_same_words_and_seeds_make_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("data")
    for name in ("table3.toml", "composlora.toml"):
        (folder / name).write_bytes((DATA / name).read_bytes())
    for module in (case, table3, composlora, thousand):
        monkeypatch.setattr(module, "DATA", folder)
        if module is not case:
            module.make()
    for path in sorted(folder.iterdir()):
        assert path.read_bytes() == (DATA / path.name).read_bytes(), f"{path.name} is another file"
