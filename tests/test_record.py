"""Record: JSON and back, the text that other programs read, files written whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file

from lorafusion.errors import BadOption, NotWritable, UnreadableFile
from lorafusion.record import Record, Used, check_writable, read_record, save
from lorafusion.record.hashes import autov3
from lorafusion.record.infotext import infotext

AS_ROUTED = {"pinned": False, "strength": 1.0, "text_strength": 1.0}
ROBOT = Used(
    *("robot", "robot.safetensors", "a" * 64, "0" * 12, "character", "robot", 0.5, 0.7, 0.56),
    **AS_ROUTED,
    text_gate=0.56,
)
CROWN = Used(
    *("gold: crown", "c.safetensors", "b" * 64, "1" * 12, "", "crown", 0.3, 1.0, 0.24),
    pinned=True,
    strength=0.3,
    text_strength=0.1,
    text_gate=0.08,
)
CLOSED = Used(
    *("guitar", "g.safetensors", "c" * 64, "2" * 12, "object", "", 0.1, 0.0, 0.0),
    **AS_ROUTED,
    text_gate=0.0,
)

FIXTURES = Path(__file__).parent / "fixtures"

RECORD = Record(
    prompt="a robot wearing a crown, in a library",
    asked="a robot wearing a crown <lora:gold crown:0.1:0.3>",
    triggers=("in a library",),
    negative_prompt="blurry",
    seed=7,
    steps=30,
    guidance_scale=7.5,
    width=512,
    height=768,
    base="/models/dream.safetensors",
    pipeline="StableDiffusionPipeline",
    fingerprint="0123456789ab",
    scheduler="DPMSolverMultistepScheduler",
    scheduler_config={"use_karras_sigmas": True, "lambda_min_clipped": "-inf"},
    method="switch",
    options={"period": 5},
    strength=0.8,
    router="cosine(temperature=1.0)",
    encoder="minilm",
    loras=(ROBOT, CROWN, CLOSED),
    executor="fold",
    dtype="float32",
    device="cpu",
    call={"clip_skip": 1},
    unrecorded=("callback_on_step_end",),
    pixels="d" * 64,
    versions={"lorafusion": "0.1.0", "torch": "2.13.0"},
    platform="Linux x86_64",
)

PLAIN = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
USED = st.tuples(*[PLAIN] * 6, NUMBER, NUMBER, NUMBER, st.booleans(), NUMBER, NUMBER, NUMBER)
CHANGES = st.fixed_dictionaries(
    {
        "prompt": PLAIN,
        "negative_prompt": PLAIN,
        "seed": st.integers(0, 2**63 - 1),
        "guidance_scale": st.none() | NUMBER,
        "options": st.dictionaries(
            PLAIN, st.integers() | PLAIN | NUMBER | st.booleans(), max_size=3
        ),
        "unrecorded": st.lists(PLAIN, max_size=3).map(tuple),
    }
)


@given(CHANGES, st.lists(USED, max_size=3))
def test_json_and_back_is_the_identity(changes: dict[str, object], used: list[tuple]) -> None:
    loras = tuple(Used(*fields) for fields in used)
    record = dataclasses.replace(RECORD, **changes, loras=loras)
    text = record.to_json()
    assert text.isascii()
    assert "\n" not in text
    assert Record.from_json(text) == record


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Record)])
def test_a_missing_field_is_refused(name: str) -> None:
    data = json.loads(RECORD.to_json())
    del data[name]
    with pytest.raises(UnreadableFile, match=f"missing {name}"):
        Record.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "red"}, "unknown colour"),
        ({"steps": "30"}, "steps is '30', expected int"),
        ({"steps": True}, "steps is True"),
        ({"steps": 3.5}, "steps is 3.5"),
        ({"prompt": None}, "prompt is None"),
        ({"options": []}, "options is"),
        ({"versions": {"torch": 2}}, "versions.torch is 2"),
        ({"loras": [{"name": "x"}]}, r"loras\[0\]: missing file"),
        ({"loras": ["robot"]}, r"loras\[0\] is 'robot'"),
        ({"format": 99}, "format version 99, expected 2"),
    ],
)
def test_a_wrong_field_is_refused_in_one_line(change: dict[str, object], said: str) -> None:
    data = json.loads(RECORD.to_json()) | change
    with pytest.raises(UnreadableFile, match=said) as caught:
        Record.from_json(json.dumps(data), where="robot.png")
    assert str(caught.value).startswith("robot.png: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"record"'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(UnreadableFile):
        Record.from_json(text)


def as_format_1(record: Record) -> str:
    """What a version that knew no tags, trigger words or strengths would have written."""
    told = json.loads(record.to_json())
    for name in ("asked", "triggers"):
        del told[name]
    for used in told["loras"]:
        for name in ("pinned", "strength", "text_strength", "text_gate"):
            del used[name]
    return json.dumps(told | {"format": 1})


def test_records_of_format_1_are_read() -> None:
    record = dataclasses.replace(
        RECORD, asked=RECORD.prompt, triggers=(), loras=(ROBOT, CLOSED), format=1
    )
    assert Record.from_json(as_format_1(record)) == dataclasses.replace(record, format=2)
    with pytest.raises(UnreadableFile, match="missing prompt"):
        Record.from_json('{"format": 1, "loras": [3]}')


def test_a_picture_of_format_1_is_read() -> None:
    record = read_record(FIXTURES / "record-format-1.png")
    assert (record.format, record.versions["lorafusion"]) == (2, "0.1.0")
    assert record.asked == record.prompt == "a robot wearing a crown in a library"
    assert [one.name for one in record.loras] == ["library", "robot", "crown"]
    for one in record.loras:
        assert one.gate == one.text_gate == pytest.approx(0.8 / 3)
        assert (one.strength, one.text_strength, one.pinned) == (1.0, 1.0, False)


def test_infotext_is_in_the_form_of_a1111() -> None:
    assert infotext(RECORD) == (
        "a robot wearing a crown, in a library <lora:robot:0.56> <lora:gold crown:0.08:0.24>\n"
        "Negative prompt: blurry\n"
        "Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 7, "
        "Size: 512x768, Model: dream, "
        'Lora hashes: "robot: 000000000000, gold crown: 111111111111", '
        "Version: lorafusion 0.1.0"
    )


@pytest.mark.parametrize(
    ("scheduler", "config", "name"),
    [
        ("EulerDiscreteScheduler", {}, "Euler"),
        ("EulerAncestralDiscreteScheduler", {}, "Euler a"),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, "DPM++ 2M SDE"),
        ("DPMSolverMultistepScheduler", {"solver_order": 3}, "DPM++ 3M"),
        ("DDPMScheduler", {}, "DDPM"),
    ],
)
def test_samplers_have_the_names_of_a1111(
    scheduler: str, config: dict[str, object], name: str
) -> None:
    record = dataclasses.replace(RECORD, scheduler=scheduler, scheduler_config=config)
    assert f"Sampler: {name}, CFG scale" in infotext(record)


def parsed(text: str) -> dict[str, str]:
    """A1111's reader, restated: `parse_generation_parameters` and its regular expression."""
    *lines, last = text.strip().split("\n")
    pair = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
    found = {"prompt": "", "negative": ""}
    into = "prompt"
    for line in lines:
        if line.startswith("Negative prompt:"):
            into, line = "negative", line.removeprefix("Negative prompt:").strip()
        found[into] += ("\n" if found[into] else "") + line
    for key, value in pair.findall(last):
        found[key] = json.loads(value) if value[:1] == value[-1:] == '"' else value
    return found


WORDS = st.text("abcdefgh ,.()äж猫", min_size=1, max_size=40).map(str.strip).filter(bool)
NAMES = st.text("abc_-.:,<>é", min_size=1, max_size=12)
FILES = st.text("abcdé ,:-", min_size=1, max_size=12).map(str.strip).filter(bool)


@given(WORDS, WORDS, st.lists(NAMES, min_size=1, max_size=3, unique=True), FILES)
def test_a1111_reads_back_what_was_written(
    prompt: str, negative: str, names: list[str], base: str
) -> None:
    used = tuple(dataclasses.replace(ROBOT, name=f"x{name}") for name in names)
    record = dataclasses.replace(
        RECORD, prompt=prompt, negative_prompt=negative, loras=used, base=base
    )
    read = parsed(infotext(record))
    assert read["prompt"].startswith(prompt + " <lora:")
    assert len(re.findall(r"<lora:([^:>]+):0\.56>", read["prompt"])) == len(names)
    assert (read["negative"], read["Model"], read["Seed"]) == (negative, base, "7")
    hashes = dict(pair.split(": ") for pair in read["Lora hashes"].split(", "))
    assert set(hashes.values()) == {"0" * 12}


def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((24, 16)).convert("RGB")


@given(WORDS)
def test_any_text_survives_in_a_png(tmp_path_factory: pytest.TempPathFactory, prompt: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    record = dataclasses.replace(RECORD, prompt=prompt)
    save(picture(), record, path)
    assert read_record(path) == record
    with Image.open(path) as image:
        assert image.text["parameters"] == infotext(record)
        assert image.tobytes() == picture().tobytes()


def test_ascii_text_is_in_plain_chunks(tmp_path: Path) -> None:
    save(picture(), RECORD, tmp_path / "x.png")
    data, kinds, at = (tmp_path / "x.png").read_bytes(), [], 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        kinds.append((kind, data[at + 8 : at + 8 + size].partition(b"\0")[0]))
        at += 12 + size
    text = [(kind, key) for kind, key in kinds if kind in (b"tEXt", b"iTXt", b"zTXt")]
    assert text == [(b"tEXt", b"parameters"), (b"tEXt", b"lorafusion")]


def test_saving_replaces_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.png"
    save(picture(), RECORD, path)
    before = path.read_bytes()

    def half(self: Image.Image, file: object, *args: object, **kwargs: object) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(KeyboardInterrupt):
        save(picture(), dataclasses.replace(RECORD, seed=8), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, *args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(NotWritable, match="No space left on device"):
        save(picture(), RECORD, tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "no" / "x.png", file / "x.png", tmp_path / "folder.png"):
        with pytest.raises(NotWritable, match=path.name):
            check_writable(path)
    with pytest.raises(BadOption, match=r"ends in \.png"):
        check_writable(tmp_path / "x.jpg")
    check_writable(tmp_path / "x.PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


def test_what_holds_no_record(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    with pytest.raises(UnreadableFile, match="no such file"):
        read_record(path)
    path.write_text("text")
    with pytest.raises(UnreadableFile, match="not a PNG"):
        read_record(path)
    picture().save(path, "JPEG")
    with pytest.raises(UnreadableFile, match="not a PNG"):
        read_record(path)
    picture().save(path)
    with pytest.raises(UnreadableFile, match="holds no lorafusion record"):
        read_record(path)
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_record(tmp_path)
    info = PngImagePlugin.PngInfo()
    info.add_text("lorafusion", "{}")
    picture().save(path, pnginfo=info)
    with pytest.raises(UnreadableFile, match="missing prompt"):
        read_record(path)


def test_a_png_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    save(picture(), RECORD, path)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UnreadableFile, match="cannot be read as a PNG"):
        read_record(path)


def test_autov3_is_blind_to_metadata_and_hashes_the_tensors(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(12.0), "b": torch.ones(3)}
    for name, metadata in (("plain", None), ("titled", {"title": "robot" * 99})):
        save_file(tensors, tmp_path / name, metadata)
    assert autov3(tmp_path / "plain") == autov3(tmp_path / "titled")
    body = torch.arange(12.0).numpy().tobytes() + torch.ones(3).numpy().tobytes()
    assert autov3(tmp_path / "plain") == hashlib.sha256(body).hexdigest()[:12]
