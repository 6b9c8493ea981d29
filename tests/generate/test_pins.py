"""Tags and trigger words, from the prompt to the pixels and the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import lorafusion as lf
from lorafusion.doctor import effect
from lorafusion.errors import BadOption
from lorafusion.generate import Request, Result
from lorafusion.plan import Candidate
from lorafusion.record import Record, read_record
from lorafusion.record.infotext import infotext
from lorafusion.routing.tags import parsed
from tests.test_record import as_format_1

PINS = "a robot <lora:robot:0.5:0.8> wearing a crown <lora:crown:te=0.7:unet=0>"


def by_hand(sd: Any, library: lf.Library, prompt: str) -> bytes:
    """The picture of PINS without any tag: a plan written by hand."""
    chosen = (Candidate(entry, 0.0, {"robot": 0.8}.get(entry.name, 0.0)) for entry in library)
    plan = lf.plan("fusion", lf.Route(prompt, tuple(chosen)), steps=4)
    text = plan.text_gates.clone()
    for index, lora in enumerate(plan.loras):
        text[..., index] = {"robot": 0.5, "crown": 0.7}[lora.name]
    with lf.apply(sd, replace(plan, text_gates=text)):
        return draw(sd, prompt)


def draw(sd: Any, prompt: str) -> bytes:
    generator = torch.Generator("cpu").manual_seed(3)
    size = {"width": 32, "height": 32}
    return sd(prompt, num_inference_steps=4, generator=generator, **size).images[0].tobytes()


def test_pins_make_the_picture_of_a_plan_by_hand(
    sd: Any, library: lf.Library, make: Callable[..., Result]
) -> None:
    made = make(PINS, seed=3, pinned_only=True)
    assert made.image.tobytes() == by_hand(sd, library, "a robot wearing a crown")
    assert (
        made.image.tobytes()
        != make("a robot wearing a crown", seed=3, method="naive").image.tobytes()
    )


@pytest.mark.parametrize("method", ["merge", "switch", "composite"])
def test_a_record_makes_the_same_pixels_and_says_what_was_pinned(
    method: str, sd: Any, library: lf.Library, make: Callable[..., Result], tmp_path: Path
) -> None:
    for name in ("robot", "crown"):
        (tmp_path / "loras" / f"{name}.json").write_text(f'{{"activation text": "zorg {name}"}}')
    library = lf.Library(tmp_path / "loras")
    result = lf.generate(
        PINS, sd, library, steps=4, width=32, height=32, pinned_only=True, method=method
    )
    assert result.record.prompt == result.route.prompt
    result.save(tmp_path / "a.png")
    record = read_record(tmp_path / "a.png")
    assert record.asked == PINS
    assert record.prompt == "a zorg robot wearing a zorg crown"
    assert record.triggers == ("zorg robot", "zorg crown")
    told = {one.name: (one.pinned, one.strength, one.text_strength) for one in record.loras}
    assert told == {"robot": (True, 0.8, 0.5), "crown": (True, 0.0, 0.7)}
    # What a file says later does not matter: the record has the words.
    (tmp_path / "loras" / "robot.json").unlink()
    repeated = lf.again(record, lf.Library(tmp_path / "loras"), sd)
    assert repeated.record == record
    assert repeated.image.tobytes() == result.image.tobytes()


def test_the_infotext_is_a_prompt_for_the_same_picture(make: Callable[..., Result]) -> None:
    first = make(PINS, pinned_only=True)
    text = infotext(first.record).splitlines()[0]
    assert parsed(text)[0] == first.record.prompt
    second = make(text, pinned_only=True)
    assert second.image.tobytes() == first.image.tobytes()


@pytest.mark.parametrize(
    "wrong", [{"prompt": "a <lora:x"}, {"prompt": "<lora:x>"}, {"negative_prompt": "<lora:x>"}]
)
def test_a_request_refuses_tags_that_cannot_be(wrong: dict[str, str]) -> None:
    with pytest.raises(BadOption):
        Request(**({"prompt": "a robot"} | wrong))


def test_the_text_encoder_never_reads_a_tag(
    sd: Any, library: lf.Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    own = sd.encode_prompt

    def heard(prompt: Any, *rest: Any, **more: Any) -> Any:
        seen.extend([prompt] if isinstance(prompt, str) else prompt)
        return own(prompt, *rest, **more)

    monkeypatch.setattr(sd, "encode_prompt", heard)
    size = {"width": 32, "height": 32, "steps": 4}
    lf.generate(PINS, sd, library, **{**size, "pinned_only": True})
    lf.generate_many([{"prompt": PINS, **size}, {"prompt": "a dog", **size}], sd, library)
    assert set(seen) == {"a robot wearing a crown", "a dog"}


def test_a_picture_of_an_older_format_is_made_again(
    sd: Any, library: lf.Library, make: Callable[..., Result]
) -> None:
    made = make("a robot wearing a crown", method="switch", period=2, strength=0.8)
    again = lf.again(Record.from_json(as_format_1(made.record)), library, sd)
    assert again.record == made.record
    assert again.image.tobytes() == made.image.tobytes()


def test_equal_strengths_act_under_methods_without_weights(make: Callable[..., Result]) -> None:
    made = make("a robot wearing a crown", method="merge", router="cosine", equalise=0.5)
    norms = {one.name: effect(one).norm for one in made.plan.loras}
    for one in made.record.loras:
        assert one.gate == one.text_gate == pytest.approx(0.5 / norms[one.name])
