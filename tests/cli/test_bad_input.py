"""Everything that can be wrong with the input: one line, exit code 2, nothing written."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests import tiny
from tests.cli.conftest import PROMPT, Ran, World

Case = Callable[[Path, World], list[str | Path]]


def with_library(world: World, folder: Path) -> list[str | Path]:
    return [PROMPT, *world.options, "--library", folder]


def with_file(folder: Path, world: World, tensors: dict[str, torch.Tensor]) -> list[str | Path]:
    """A library of one file."""
    library = folder / "library"
    library.mkdir()
    save_file(tensors, library / "robot.safetensors")
    return with_library(world, library)


def with_bytes(folder: Path, world: World, content: bytes) -> list[str | Path]:
    library = folder / "library"
    library.mkdir()
    (library / "robot.safetensors").write_bytes(content)
    return with_library(world, library)


def good_bytes(world: World) -> bytes:
    return (world.loras / "robot.safetensors").read_bytes()


def own(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    return tiny.state_dict(tiny.pipeline("sd"), seed=1) | changes


def spoiled(value: float) -> dict[str, torch.Tensor]:
    tensors = own()
    next(iter(tensors.values())).view(-1)[3] = value
    return tensors


def half_lost() -> dict[str, torch.Tensor]:
    """Every second target renamed to one that the base model does not have."""
    tensors = own()
    targets = sorted({key.rpartition(".lora_")[0] for key in tensors})
    lost = {target: f"unet.mid_block.attentions.9.{i}" for i, target in enumerate(targets[::2])}
    return {
        f"{lost.get(target, target)}.lora_{end}": tensor
        for key, tensor in tensors.items()
        for target, _, end in [key.rpartition(".lora_")]
    }


def regular_file(folder: Path) -> Path:
    path = folder / "file"
    path.write_text("text")
    return path


def empty_folder(folder: Path) -> Path:
    path = folder / "empty"
    path.mkdir()
    return path


CASES: dict[str, tuple[Case, str]] = {
    "missing folder": (lambda f, w: with_library(w, f / "nowhere"), "nowhere"),
    "empty folder": (lambda f, w: with_library(w, empty_folder(f)), "empty"),
    "file as folder": (lambda f, w: with_library(w, regular_file(f)), "file"),
    "truncated": (lambda f, w: with_bytes(f, w, good_bytes(w)[:-100]), "robot.safetensors"),
    "truncated header": (lambda f, w: with_bytes(f, w, good_bytes(w)[:60]), "robot.safetensors"),
    "zero bytes": (lambda f, w: with_bytes(f, w, b""), "robot.safetensors"),
    "NaN": (lambda f, w: with_file(f, w, spoiled(torch.nan)), "robot.safetensors"),
    "infinite": (lambda f, w: with_file(f, w, spoiled(torch.inf)), "robot.safetensors"),
    "SDXL LoRA": (
        lambda f, w: with_file(f, w, tiny.state_dict(tiny.pipeline("sdxl"), seed=1)),
        "robot",
    ),
    "half of its targets": (lambda f, w: with_file(f, w, half_lost()), "robot"),
    "unknown method": (
        lambda f, w: [PROMPT, *w.options, "--method", "compsite"],
        "Did you mean 'composite'?",
    ),
    "unknown option of a method": (
        lambda f, w: [PROMPT, *w.options, "--method", "switch", "--option", "priod=3"],
        "Did you mean 'period'?",
    ),
    "option without value": (
        lambda f, w: [PROMPT, *w.options, "--method", "switch", "--option", "period"],
        "KEY=VALUE",
    ),
    "option of another type": (
        lambda f, w: [PROMPT, *w.options, "--method", "switch", "--option", "period=often"],
        "expected int",
    ),
    "option out of range": (
        lambda f, w: [PROMPT, *w.options, "--method", "switch", "--option", "period=0"],
        "period is 0",
    ),
    "no steps": (lambda f, w: [PROMPT, *w.options, "--steps", "0"], "steps is 0"),
    "steps not a number": (lambda f, w: [PROMPT, *w.options, "--steps", "many"], "--steps"),
    "no pictures": (lambda f, w: [PROMPT, *w.options, "--count", "0"], "--count is 0"),
    "negative seed": (lambda f, w: [PROMPT, *w.options, "--seed", "-1"], "seed is -1"),
    "endless strength": (lambda f, w: [PROMPT, *w.options, "--strength", "inf"], "strength"),
    "odd width": (lambda f, w: [PROMPT, *w.options, "--width", "33"], "such as 32"),
    "no width": (lambda f, w: [PROMPT, *w.options, "--width", "0"], "width is 0"),
    "no prompt": (lambda f, w: w.options, "prompt is empty"),
    "empty prompt": (lambda f, w: ["", *w.options], "prompt is empty"),
    "blank prompt": (lambda f, w: [" \t", *w.options], "prompt is empty"),
    "prompt of no text": (lambda f, w: ["caf\udce9", *w.options], "not UTF-8"),
    "negative of no text": (
        lambda f, w: ["robot", "--negative", "\udce9", *w.options],
        "negative prompt is",
    ),
    "no such option": (lambda f, w: [PROMPT, *w.options, "--stpes", "3"], "--stpes"),
    "missing base": (lambda f, w: [PROMPT, *w.options, "--base", f / "no-model"], "no-model"),
    "folder that is no model": (
        lambda f, w: [PROMPT, *w.options, "--base", empty_folder(f)],
        "model_index.json",
    ),
    "base without its LoRAs": (lambda f, w: [PROMPT, "--base", w.base], "--library"),
    "missing output folder": (
        lambda f, w: [PROMPT, *w.options, "--out", f / "nowhere" / "robot.png"],
        "nowhere",
    ),
    "output below a file": (
        lambda f, w: [PROMPT, *w.options, "--out", regular_file(f) / "robot.png"],
        "cannot write",
    ),
    "output is a folder": (
        lambda f, w: [PROMPT, *w.options, "--out", empty_folder(f).rename(f / "x.png")],
        "is a folder",
    ),
    "output not PNG": (
        lambda f, w: [PROMPT, *w.options, "--out", f / "robot.jpg"],
        "ends in .png",
    ),
    "no relevant LoRA": (
        lambda f, w: [PROMPT, *w.options, "--threshold", "99", "--require-lora"],
        "asks for none of 3 LoRAs",
    ),
    "unknown executor": (
        lambda f, w: [PROMPT, *w.options, "--executor", "flod"],
        "Did you mean 'fold'?",
    ),
    "unknown router": (lambda f, w: [PROMPT, *w.options, "--router", "cosin"], "'cosine'"),
    "unknown dtype": (lambda f, w: [PROMPT, *w.options, "--dtype", "int8"], "float32"),
    "unknown device": (lambda f, w: [PROMPT, *w.options, "--device", "toaster"], "toaster"),
    "temperature zero": (
        lambda f, w: [PROMPT, *w.options, "--router", "cosine", "--temperature", "0"],
        "temperature",
    ),
    "again without picture": (lambda f, w: ["--again", f / "no.png", *w.library], "no such file"),
    "again without record": (
        lambda f, w: ["--again", regular_file(f), *w.library],
        "not a PNG",
    ),
    "again and a prompt": (lambda f, w: [PROMPT, "--again", f / "no.png"], "a prompt"),
    "again and steps": (lambda f, w: ["--again", f / "no.png", "--steps", "3"], "--steps"),
}


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def check_refused(ran: Ran, said: str) -> None:
    assert ran.code == 2, ran
    assert ran.err.startswith("lorafusion: ")
    assert ran.err.count("\n") == 1
    assert said in ran.err
    assert ran.out == ""


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_line_and_writes_nothing(
    name: str, lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    make, said = CASES[name]
    words = make(tmp_path, world)
    before = files(tmp_path)
    check_refused(lf("generate", *words), said)
    assert files(tmp_path) == before


class Trap:
    """A pickle that leaves a trace when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".ckpt"])
@pytest.mark.parametrize("where", ["library", "base"])
def test_pickles_are_refused_unread(
    suffix: str, where: str, lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    trace = tmp_path / "read"
    library = tmp_path / "library"
    library.mkdir()
    file = library / f"robot{suffix}"
    file.write_bytes(pickle.dumps(Trap(trace)))
    changed = ["--library", library] if where == "library" else ["--base", file]
    before = files(tmp_path)
    check_refused(lf("generate", PROMPT, *world.options, *changed), f"robot{suffix}")
    assert not trace.exists()
    assert files(tmp_path) == before


@pytest.mark.parametrize("command", [["explain", PROMPT], ["library", "list"]])
def test_the_other_commands_refuse_a_missing_library_too(
    command: list[str], lf: Callable[..., Ran], tmp_path: Path
) -> None:
    check_refused(lf(*command, "--library", tmp_path / "nowhere"), "nowhere")


def test_explain_refuses_an_empty_prompt(lf: Callable[..., Ran], world: World) -> None:
    check_refused(lf("explain", " ", *world.library), "prompt is empty")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["explain", "caf\udce9"], "the prompt is 'caf"),
        (["explain", "a robot", "--negative", "caf\udce9"], "the negative prompt is 'caf"),
        (["export", "caf\udce9", "--out", "x.safetensors"], "the prompt is 'caf"),
        (["library", "search", "caf\udce9"], "the text that is looked for is 'caf"),
    ],
)
def test_every_command_refuses_words_of_no_text(
    command: list[str], said: str, lf: Callable[..., Ran], world: World
) -> None:
    check_refused(lf(*command, *world.library), said)


def test_library_show_offers_the_nearest_name(lf: Callable[..., Ran], world: World) -> None:
    check_refused(lf("library", "show", "robbot", *world.library), "Did you mean 'robot'?")


def test_unknown_command(lf: Callable[..., Ran]) -> None:
    check_refused(lf("paint"), "paint")
