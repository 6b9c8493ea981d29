"""The library commands: scan, list, show, set, search."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lorafusion.cli.columns import blocks, columns
from tests import tiny
from tests.cli.conftest import NAMES, Ran, World
from tests.library.fakes import put
from tests.library.many import old


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    here = tmp_path / "loras"
    for seed, name in enumerate(("crown", "robot", "style/blue")):
        put(here / f"{name}.safetensors", seed=seed)
    put(here / "half.safetensors")
    (here / "half.safetensors").write_bytes((here / "half.safetensors").read_bytes()[:-3])
    old(*here.rglob("*.safetensors"))
    return here


def test_scan_counts_and_names_what_it_skipped(lf: Callable[..., Ran], folder: Path) -> None:
    first = lf("library", "scan", "--library", folder)
    assert first.code == 0
    assert first.out == "4 files, 3 usable: 4 read, 0 unchanged, 0 gone since the last scan\n"
    assert first.err.startswith("skipped: half: is cut short")
    assert first.err.count("\n") == 1
    (folder / "crown.safetensors").unlink()
    again = lf("library", "scan", "--library", folder, "--json").json
    counts = [again[key] for key in ("files", "usable", "read", "unchanged", "gone")]
    assert counts == [3, 2, 0, 3, 1]
    assert [entry["name"] for entry in again["skipped"]] == ["half"]
    assert again["skipped"][0]["path"] == str(folder / "half.safetensors")


def test_list_leaves_broken_files_out_and_says_so(lf: Callable[..., Ran], folder: Path) -> None:
    ran = lf("library", "list", "--library", folder)
    assert [line.split()[0] for line in ran.out.splitlines()] == ["LoRA", "blue", "crown", "robot"]
    assert "skipped: half: is cut short" in ran.err
    document = lf("library", "list", "--library", folder, "--json").json
    assert [entry["name"] for entry in document["loras"]] == ["blue", "crown", "robot"]
    assert [entry["name"] for entry in document["skipped"]] == ["half"]


def test_a_broken_file_is_an_error_when_it_is_asked_for(
    lf: Callable[..., Ran], folder: Path
) -> None:
    ran = lf("library", "show", "half", "--library", folder)
    assert (ran.code, ran.out) == (2, "")
    assert "half.safetensors: is cut short" in ran.err
    assert ran.err.count("\n") == 1
    assert lf("library", "show", "robot", "--library", folder).code == 0


def test_a_broken_sidecar_costs_its_words_only(lf: Callable[..., Ran], folder: Path) -> None:
    (folder / "robot.json").write_text("{")
    ran = lf("library", "list", "--library", folder)
    assert "robot" in ran.out
    assert "sidecar left out: robot: robot.json: not JSON" in ran.err


def test_a_hash_is_listed_once_it_is_known(lf: Callable[..., Ran], folder: Path) -> None:
    def listed() -> dict[str, str | None]:
        loras = lf("library", "list", "--library", folder, "--json").json["loras"]
        return {entry["name"]: entry["sha256"] for entry in loras}

    assert set(listed().values()) == {None}
    shown = lf("library", "show", "robot", "--library", folder, "--json").json["sha256"]
    assert listed() == {"blue": None, "crown": None, "robot": shown}
    put(folder / "robot.safetensors", seed=9)
    assert listed()["robot"] is None


def test_set_writes_the_users_words_and_a_rescan_keeps_them(
    lf: Callable[..., Ran], folder: Path, tmp_path: Path
) -> None:
    words = ["--text", "a tin robot", "--category", "character", "--strength", "0.7"]
    ran = lf("library", "set", "robot", "--library", folder, *words, "--trigger", "rbt")
    assert ran.code == 0
    assert "robot: text is now a tin robot" in ran.out
    assert "robot: triggers is now rbt" in ran.out
    put(folder / "robot.safetensors", {"modelspec.description": "x"}, seed=7)
    moved = folder.rename(tmp_path / "moved")
    shown = lf("library", "show", "robot", "--library", moved, "--json").json
    assert (shown["text"], shown["text_from"], shown["category"]) == (
        "a tin robot",
        "user",
        "character",
    )
    assert (shown["strength"], shown["triggers"]) == (0.7, ["rbt"])
    lf("library", "set", "robot", "--library", moved, "--clear", "text", "--clear", "strength")
    shown = lf("library", "show", "robot", "--library", moved, "--json").json
    assert (shown["text"], shown["strength"], shown["category"]) == ("x", None, "character")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["robot"], "nothing to set"),
        (["robto", "--text", "x"], "Did you mean 'robot'"),
        (["half", "--text", "x"], "is cut short"),
        (["robot", "--strength", "nan"], "--strength is nan"),
        (["robot", "--clear", "texts"], "Did you mean 'text'"),
    ],
)
def test_set_refuses(lf: Callable[..., Ran], folder: Path, words: list[str], message: str) -> None:
    ran = lf("library", "set", *words, "--library", folder)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert not (folder / "lorafusion.toml").exists()


def test_settings_for_a_file_that_is_gone_are_told(lf: Callable[..., Ran], folder: Path) -> None:
    lf("library", "set", "robot", "--library", folder, "--text", "x")
    (folder / "robot.safetensors").unlink()
    ran = lf("library", "list", "--library", folder)
    assert ran.code == 0
    assert "lorafusion.toml: robot: no file has this name" in ran.err


def test_search_is_by_meaning_with_names_and_triggers_first(
    lf: Callable[..., Ran], folder: Path
) -> None:
    texts = {
        "crown": "a golden crown for a king",
        "robot": "a metal machine",
        "blue": "azure paint",
    }
    for name, text in texts.items():
        lf("library", "set", name, "--library", folder, "--text", text, "--trigger", f"t{name}")

    def best(words: str) -> str:
        document = lf("library", "search", words, "--library", folder, "--json").json
        assert len(document["loras"]) == 3
        assert [entry["name"] for entry in document["skipped"]] == ["half"]
        return document["loras"][0]["name"]

    assert best("royal jewellery") == "crown"
    assert best("mechanical android") == "robot"
    assert best("TBLUE") == "blue"
    ran = lf("library", "search", "royal jewellery", "--library", folder, "--count", "1")
    assert [line.split()[1] for line in ran.out.splitlines()] == ["LoRA", "crown"]
    assert lf("library", "search", " ", "--library", folder).code == 2
    assert lf("library", "search", "x", "--count", "0", "--library", folder).code == 2


def test_doctor_measures_an_effect_on_its_base(
    lf: Callable[..., Ran], folder: Path, world: World
) -> None:
    words = ["--library", world.loras, "--base", world.base, "--json"]
    (robot,) = lf("library", "doctor", "robot", *words).json["loras"]
    pipe = tiny.pipeline("sd")
    tensors = tiny.state_dict(pipe, seed=NAMES.index("robot"))
    change = base = 0.0
    for key, down in tensors.items():
        if key.endswith(".lora_A.weight"):
            up = tensors[key.replace("lora_A", "lora_B")]
            change += float((up.flatten(1) @ down.flatten(1)).square().sum())
            component, _, path = key.removesuffix(".lora_A.weight").partition(".")
            module = getattr(pipe, component)
            layer = module.get_submodule(path.removeprefix("text_model."))
            base += float(layer.weight.detach().square().sum())
    assert robot["effect"]["relative"] == pytest.approx((change / base) ** 0.5, rel=1e-3)
    assert not any("does not fit" in note for note in robot["notes"])
    words[1] = folder
    (other,) = lf("library", "doctor", "robot", *words).json["loras"]
    assert other["effect"]["relative"] is None
    assert "does not fit this StableDiffusionPipeline" in other["notes"][-1]
    assert lf("library", "doctor", *words).code == 2


def test_a_warm_list_needs_no_torch(lf: Callable[..., Ran], folder: Path) -> None:
    lf("library", "list", "--library", folder)
    script = (
        "import sys; from lorafusion.cli import main; "
        f"assert main(['library', 'list', '--library', {str(folder)!r}]) == 0; "
        "print([n for n in ('torch', 'numpy', 'safetensors') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_columns_keep_to_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    columns(("a", "b"), [("x\x1b[31m\ny", "z"), ("w" * 50, "v")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["x", "[31m", "y", "z"]
    assert lines[2] == "w" * 50 + "  v"
    assert len(lines) == 3


def test_columns_are_cut_at_the_edge_of_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "12")
    columns(("a", "b"), [("x", "y" * 30), ("x", "y")])
    assert capsys.readouterr().out.splitlines() == ["a  b", "x  yyyyyyyy…", "x  y"]


@pytest.mark.parametrize(("edge", "lines"), [(12, 11), (22, 7), (80, 3)])
def test_columns_that_do_not_fit_stand_below(
    edge: int, lines: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(edge))
    blocks(("arm", "one", "two", "three"), [("naive", "1 [0]", "2", "3"), ("x", "4", "5", "6")])
    told = capsys.readouterr().out.splitlines()
    assert len(told) == lines
    assert max(map(len, told)) <= edge
    assert " ".join(told).split().count("naive") == (lines + 1) // 4
    assert all(f"  {number}" in "".join(told) for number in "123456")


def test_a_name_that_would_act_on_the_terminal_does_not(
    lf: Callable[..., Ran], folder: Path
) -> None:
    (folder / "x\x1b[31m\ny.safetensors").touch()
    ran = lf("library", "scan", "--library", folder)
    assert r"skipped: x\x1b[31m\ny: is empty" in ran.err
    assert "\x1b" not in ran.out + ran.err
