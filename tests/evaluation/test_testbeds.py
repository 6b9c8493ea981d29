"""Testbeds: counts that follow from the rules, seeds that depend on nothing else, manifests that are refused."""

from __future__ import annotations

import re
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest

from lorafusion import pocket
from lorafusion.errors import BadOption, InputError, UnknownName
from lorafusion.evaluation.testbeds import TESTBEDS, open_testbed
from lorafusion.evaluation.testbeds.pocket import COMPOSLORA, elements, has_novel, set_of
from lorafusion.evaluation.testbeds.sets import by_category
from lorafusion.pocket.world import INDIVIDUALS

MANIFEST = """
name = "mine"
[setting.one]
base = "owner/model"
steps = 7
[[setting.one.lora]]
name = "robot"
category = "character"
words = ["rusto robot"]
[[setting.one.lora]]
name = "crown"
category = "clothing"
words = ["corvina crown", "gold"]
[generate]
sizes = [2]
prompt = "{opening}{words}!"
"""


def test_composlora_is_the_papers_480_sets() -> None:
    bed = open_testbed("composlora")
    assert bed.sizes == COMPOSLORA
    assert len({element.file for one in bed.combinations for element in one.elements}) == 22
    assert bed.strength == 0.8
    reality, anime = bed.settings["reality"], bed.settings["anime"]
    assert (reality.steps, reality.guidance_scale, reality.height, reality.width) == (
        100, 7.0, 1024, 768,
    )  # fmt: skip
    assert (anime.steps, anime.guidance_scale, anime.height, anime.width) == (200, 10.0, 512, 512)
    first = bed.combinations[0]
    assert first.prompt == (
        "RAW photo, subject, 8k uhd, dslr, high quality, Fujifilm XT3, half-length portrait from "
        "knees up, iu1, long straight black hair, hazel eyes, diamond stud earrings, "
        "mahalaiuniform, white shirt short sleeves, black pencil skirt"
    )


def test_the_first_papers_experiment_has_five_prompts_of_three_of_its_twelve_loras() -> None:
    bed = open_testbed("lora-fusion")
    assert bed.sizes == {3: 5}
    setting = bed.settings["sd15"]
    assert (setting.height, setting.width) == (1024, 768)


def test_pocket_has_every_set_of_its_own_loras() -> None:
    counts = {name: len(group) for name, group in by_category(elements()).items()}
    assert sum(counts.values()) == len(list(pocket.loras().glob("*.safetensors")))
    others = [count for name, count in counts.items() if name != "character"]
    every = counts["character"] * (prod(1 + count for count in others) - 1)
    bed = open_testbed("pocket")
    assert len(bed.combinations) == every
    triggers = {one.trigger for one in INDIVIDUALS.values()}
    for one in bed.combinations:
        categories = [element.category for element in one.elements]
        assert categories.count("character") == 1
        assert len(set(categories)) == len(categories)
        assert all(element.words[0] in one.prompt for element in one.elements)
        assert not triggers & set(one.prompt.replace(",", " ").split())
        assert not re.search(r"\ba (owl|goggles|glasses)", one.prompt)
    assert all((pocket.loras() / one.file).is_file() for one in elements())


def test_pocket_480_has_as_many_sets_of_each_size_as_composlora() -> None:
    assert open_testbed("pocket-480").sizes == COMPOSLORA


def test_crowded_sets_have_two_characters_and_no_element_twice() -> None:
    bed = open_testbed("pocket-crowded")
    assert list(bed.sizes) == [6, 7, 8]
    for one in bed.combinations:
        assert len(set(one.elements)) == len(one.elements)
        groups = by_category(one.elements)
        assert len(groups["character"]) == 2
        assert len(groups.get("object", [])) == 1 + (len(one.elements) > 6)
        assert len(groups["style"]) == len(groups["background"]) == 1


def test_crossed_sets_have_two_styles() -> None:
    bed = open_testbed("pocket-crossed")
    assert bed.sizes == {4: 96}
    for one in bed.combinations:
        groups = by_category(one.elements)
        assert len(groups["style"]) == 2
        assert len(groups["character"]) == 1
        first, second = (style.words[0] for style in groups["style"])
        assert f"{first} and {second}" in one.prompt


def test_the_named_testbed_is_the_same_sets_with_trigger_words() -> None:
    plain, named = open_testbed("pocket-480"), open_testbed("pocket-named")
    assert [one.name for one in plain.combinations] == [one.name for one in named.combinations]
    for one, other in zip(plain.combinations, named.combinations, strict=True):
        text = other.prompt
        for individual in (INDIVIDUALS[element.name] for element in one.elements):
            assert f"{individual.trigger} {individual.word}" in text
            text = text.replace(f"{individual.trigger} ", "")
        assert text.replace("an ", "a ") == one.prompt.replace("an ", "a ")


def test_a_sentence_has_articles_and_places() -> None:
    assert set_of(("robot", "glasses", "sketch", "beach", "umbrella")).prompt == (
        "a sketch of a robot wearing glasses next to an umbrella at the beach"
    )
    assert set_of(("octopus", "volcano")).prompt == "a picture of an octopus on a volcano"


def test_the_name_of_a_set_does_not_depend_on_the_order_it_is_given_in() -> None:
    one = set_of(("sketch", "library", "robot", "crown"))
    assert one == set_of(("robot", "crown", "library", "sketch"))
    assert one.name == "robot+crown+library+sketch"
    assert one in open_testbed("pocket").combinations
    assert open_testbed("pocket").seed(one, 0) == 7268673224213402988
    assert not has_novel(one)
    assert has_novel(set_of(("robot", "rocket")))


def test_what_is_no_set_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"robto.*'robot'"):
        set_of(("robto", "crown"))
    for names in (("robot", "panda"), ("crown",), ()):
        with pytest.raises(BadOption, match="is not a set of the testbed"):
            set_of(names)


def test_a_seed_depends_on_testbed_set_and_number_alone() -> None:
    bed = open_testbed("pocket")
    one, other = bed.combinations[0], bed.combinations[1]
    fewer = bed.of_sizes([len(one.elements)]).drawn({len(one.elements): 1})
    assert bed.seed(one, 0) == fewer.seed(one, 0)
    seeds = {bed.seed(one, 0), bed.seed(one, 1), bed.seed(other, 0)}
    assert len(seeds | {replace(bed, name="x").seed(one, 0)}) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_draw_keeps_its_sets_when_a_lora_leaves() -> None:
    bed = open_testbed("pocket")
    left = [c for c in bed.combinations if all(e.name != "fox" for e in c.elements)]
    before = {one.name for one in bed.drawn({3: 60}).combinations}
    after = {one.name for one in replace(bed, combinations=tuple(left)).drawn({3: 60}).combinations}
    assert {name for name in before if "fox" not in name} <= after


def test_a_share_is_proportional_and_adds_up() -> None:
    bed = open_testbed("composlora")
    assert bed.share(40) == {2: 4, 3: 12, 4: 16, 5: 8}
    assert sum(bed.share(37).values()) == 37
    with pytest.raises(BadOption, match="has 1 to 480"):
        bed.share(481)
    with pytest.raises(BadOption, match="48 sets of 2 LoRAs, 49 were asked for"):
        bed.drawn({2: 49})
    with pytest.raises(BadOption, match="no set of 9 LoRAs"):
        bed.of_sizes([9])


def test_a_manifest_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MANIFEST)
    bed = open_testbed("mine.toml", tmp_path)
    assert [one.prompt for one in bed.combinations] == ["rusto robot, corvina crown, gold!"]
    assert bed.combinations[0].name == "one-robot-crown"
    assert bed.settings["one"].steps == 7
    assert bed.strength == 1.0


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ('name = "mine"', "", "name is missing"),
        ("steps = 7", 'steps = "7"', "steps is '7', expected a whole number"),
        ("steps = 7", "stepps = 7", "Did you mean 'steps'"),
        ("steps = 7", "steps = true", "expected a whole number"),
        ('"character"', '"charakter"', "Did you mean 'character'"),
        ('"crown"', '"robot"', "'robot' is used twice"),
        ("sizes = [2]", "sizes = [3]", "has no set"),
        ('words = ["rusto robot"]', "words = [1]", "expected a list of text"),
        ("[generate]", "[[generate]]", "expected a table"),
        ("[setting.one]", "[setting.one", "cannot be read as TOML"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, old: str, new: str, seen: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(MANIFEST.replace(old, new, 1))
    with pytest.raises(InputError, match=seen) as caught:
        open_testbed(str(path))
    assert "\n" not in str(caught.value)


def test_written_sets_name_known_loras(tmp_path: Path) -> None:
    path = tmp_path / "sets.toml"
    written = '[[set]]\nname = "a"\nsetting = "one"\nloras = ["robt"]\nprompt = "x"\n'
    path.write_text(MANIFEST.partition("[generate]")[0] + written)
    with pytest.raises(UnknownName, match="Did you mean 'robot'"):
        open_testbed(str(path))
    path.write_text(path.read_text().replace("robt", "robot"))
    assert open_testbed(str(path)).combinations[0].prompt == "x"


def test_testbeds_are_known_by_name() -> None:
    assert len(list(TESTBEDS)) == 7
    with pytest.raises(UnknownName, match="Did you mean 'composlora'"):
        open_testbed("compos-lora")
