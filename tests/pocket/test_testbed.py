"""The testbed's sets, prompts and seeds."""

import pytest

from lorafusion.errors import BadOption, UnknownName
from lorafusion.pocket import world
from lorafusion.pocket.testbed import LORAS, SIZES, Combination, combinations


def test_the_list_holds_every_individual_the_novel_ones_last() -> None:
    assert tuple(world.INDIVIDUALS) == LORAS
    novel = [world.INDIVIDUALS[name].novel for name in LORAS]
    assert novel == sorted(novel)


def test_sets_have_one_character_and_distinct_categories() -> None:
    counts = {size: len(combinations(size)) for size in SIZES}
    # 6 characters; 5, 5, 4 and 4 of the other categories: elementary symmetric sums of those.
    assert counts == {2: 6 * 18, 3: 6 * 121, 4: 6 * 360, 5: 6 * 400}
    for size in SIZES:
        sets = combinations(size)
        assert len({one.key for one in sets}) == len(sets)
        for one in sets:
            categories = [world.INDIVIDUALS[name].category for name in one.names]
            assert len(set(categories)) == size
            assert categories[0] == "character"


def test_instance_and_novel_sets_are_told_apart() -> None:
    for size in SIZES:
        instance, novel = combinations(size, "instance"), combinations(size, "novel")
        assert len(instance) + len(novel) == len(combinations(size))
        assert not any(world.INDIVIDUALS[name].novel for one in instance for name in one.names)
        assert all(any(world.INDIVIDUALS[name].novel for name in one.names) for one in novel)
    assert len(combinations(2, "instance")) == 4 * 12


def test_a_choice_of_sets_is_always_the_same_and_a_smaller_one_is_part_of_it() -> None:
    hundred = combinations(4, "instance", 100)
    assert combinations(4, "instance", 100) == hundred
    assert combinations(4, "instance", 30) == hundred[:30]
    assert {name for one in hundred for name in one.names} == set(LORAS[:16])
    assert len(combinations(2, "instance", 100)) == 48


def test_prompts_name_every_class_and_no_individual() -> None:
    triggers = {one.trigger for one in world.INDIVIDUALS.values()}
    for size in SIZES:
        for one in combinations(size, None, 60):
            text = one.prompt()
            assert all(word in text for word in one.words.values()), text
            assert not triggers & set(text.replace(",", " ").split())
            assert "a owl" not in text
            assert "a goggles" not in text
    assert Combination(("robot", "crown", "library")).prompt().endswith("in a library")


def test_seeds_depend_on_the_set_and_the_number_alone() -> None:
    seeds = [one.seed(number) for size in SIZES for one in combinations(size) for number in (0, 1)]
    assert len(set(seeds)) == len(seeds)
    assert Combination(("robot", "crown")).seed() == 86450182454537
    assert all(0 <= seed < 2**48 for seed in seeds)


def test_what_is_no_set_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"robto.*'robot'"):
        Combination(("robto", "crown"))
    for names in (("crown", "robot"), ("robot", "panda"), ("crown",), ()):
        with pytest.raises(BadOption, match="is not a set of the testbed"):
            Combination(names)
    with pytest.raises(BadOption, match="size is 6"):
        combinations(6)
    with pytest.raises(BadOption, match="most is 0"):
        combinations(2, None, 0)
