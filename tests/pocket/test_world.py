"""The pocket world: deterministic pictures, captions that name exactly what is there."""

import numpy as np
import pytest

from lorafusion.errors import UnreadableFile
from lorafusion.pocket import world
from lorafusion.pocket.world import sprites
from lorafusion.pocket.world.variety import pool

needs_font = pytest.mark.skipif(
    world.font_path() is None, reason="the font NotoColorEmoji.ttf is not installed"
)

TRIGGERS = {one.trigger for one in world.INDIVIDUALS.values()}


def named(text: str) -> set[str]:
    """The class words that occur in a caption."""
    plain = f" {text.replace(',', ' ')} "
    return {word for word in world.KINDS if f" {word} " in plain}


@needs_font
def test_the_same_seed_draws_the_same_picture() -> None:
    for seed in range(40):
        first = world.render(world.sample(seed))
        world.render(world.sample(seed + 1))
        again = world.render(world.sample(seed))
        assert first.shape == (64, 64, 3)
        assert first.dtype == np.uint8
        assert (first == again).all()


@needs_font
def test_different_seeds_draw_different_pictures() -> None:
    pictures = {world.render(world.sample(seed)).tobytes() for seed in range(100)}
    assert len(pictures) == 100


@pytest.mark.parametrize("names", [(), ("robot", "crown", "library"), ("sketch", "guitar")])
def test_a_caption_names_exactly_the_elements(names: tuple[str, ...]) -> None:
    for seed in range(300):
        scene = world.with_individuals(world.sample(seed), *names)
        shown = scene.elements()
        for variant in range(4):
            text = world.caption(scene, variant)
            assert named(text) == {element.word for element in shown.values()}, text


def test_captions_vary_and_are_lower_case() -> None:
    scene = world.with_individuals(world.sample(1), "robot", "crown", "guitar", "library")
    texts = {world.caption(scene, variant) for variant in range(60)}
    assert len(texts) > 30
    assert all(text == text.lower() for text in texts)


def test_triggers_are_used_as_often_as_asked() -> None:
    scenes = [world.with_individuals(world.sample(seed), "robot") for seed in range(400)]
    counts = {
        rate: sum("rusto robot" in world.caption(scene, 0, rate) for scene in scenes)
        for rate in (0.0, 0.5, 1.0)
    }
    assert counts[0.0] == 0
    assert 160 < counts[0.5] < 240
    assert counts[1.0] == 400


def test_no_base_caption_names_an_individual() -> None:
    texts = " ".join(world.caption(world.sample(seed)) for seed in range(500))
    assert not TRIGGERS & set(texts.replace(",", " ").split())


def test_the_base_never_has_the_marking_or_the_colours_of_an_individual() -> None:
    known = [one for one in world.INDIVIDUALS.values() if not one.novel]
    drawn = [one for one in known if one.look is not None]
    assert len(drawn) == 10
    for one in drawn:
        assert one.look is not None
        for look in pool(one.word):
            assert look.marking in ("plain",) or look.marking != one.look.marking
            assert 60 <= look.turn <= 300
            assert look.stretch <= 1.1


def test_every_category_has_individuals_that_describe_their_class() -> None:
    categories = {one.category for one in world.INDIVIDUALS.values()}
    assert categories == set(world.CATEGORIES)
    for name, one in world.INDIVIDUALS.items():
        assert name == one.name
        assert one.word in one.description
        assert "\n" not in one.description
    assert len(TRIGGERS) == len(world.INDIVIDUALS)


def test_the_base_never_shows_or_names_a_novel_class() -> None:
    novel = {one.word for one in world.INDIVIDUALS.values() if one.novel}
    assert {world.KINDS[word].category for word in novel} == set(world.CATEGORIES)
    for seed in range(500):
        scene = world.sample(seed)
        assert not novel & {element.word for element in scene.elements().values()}
        assert not novel & set(world.caption(scene).replace(",", " ").split())


@needs_font
@pytest.mark.parametrize("name", world.INDIVIDUALS)
def test_an_individual_looks_unlike_the_rest_of_its_category(name: str) -> None:
    one = world.INDIVIDUALS[name]
    word = world.words(one.category)[5] if one.novel else one.word
    company = {"character": world.Element("cat")} if one.category == "style" else {}
    other = world.sample(5, {**company, one.category: world.Element(word, 3)})
    changed = np.abs(
        world.render(world.with_individuals(other, name)).astype(int)
        - world.render(other).astype(int)
    )
    assert changed.mean() > 2


def test_an_unknown_individual_is_refused() -> None:
    with pytest.raises(KeyError):
        world.with_individuals(world.sample(0), "nobody")
    with pytest.raises(ValueError, match="no drawn individual"):
        _ = world.Element("cat", individual=True).look


def test_the_font_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORAFUSION_EMOJI_FONT", __file__)
    assert str(world.font_path()) == __file__


def test_a_missing_font_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorafusion.pocket.world.sprites.font_path", lambda: None)
    sprites.artwork.cache_clear()
    sprites.loaded_font.cache_clear()
    with pytest.raises(UnreadableFile, match="LORAFUSION_EMOJI_FONT"):
        sprites.artwork("🤖")
