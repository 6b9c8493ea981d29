"""Documentation that cannot go stale: pages made from the code, README's commands, examples, links."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/README.md")])
EXAMPLES = sorted(ROOT.glob("examples/*.py"))


def made() -> dict[str, str]:
    """The pages as docs/make_reference.py writes them, in a process of its own."""
    code = "import json, make_reference as m; print(json.dumps(m.pages()))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "docs", capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def test_reference_pages_are_what_the_code_says() -> None:
    for page, text in made().items():
        path = ROOT / "docs" / page
        assert path.is_file(), f"{page} is missing: run `make docs`"
        assert path.read_text(encoding="utf-8") == text, f"{page}: run `make docs`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("http:", "https:")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path: Path, tmp_path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 40
    run = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert list(tmp_path.glob("*.png"))


def readme_commands() -> list[str]:
    """The lorafusion commands in README's shell blocks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, flags=re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith("lorafusion ")]


def test_readme_shows_commands() -> None:
    assert len(readme_commands()) >= 3


@pytest.mark.parametrize("command", readme_commands())
def test_readme_commands_work_as_written(command: str, tmp_path: Path) -> None:
    words = shlex.split(command, comments=True)[1:]
    if any(word in command for word in ("~/", "owner/")):
        pytest.fail(f"README shows a command that cannot be tried as it stands: {command}")
    # one folder for all, since one command may read what another has written
    folder = tmp_path.parent / "readme"
    folder.mkdir(exist_ok=True)
    run = subprocess.run(
        [sys.executable, "-m", "lorafusion", *words], cwd=folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


def test_decisions_are_all_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text()
    for path in folder.glob("0*.md"):
        assert path.name in listed


def test_every_method_has_its_pictures() -> None:
    from lorafusion.methods import METHODS

    folder = ROOT / "docs" / "methods" / "pictures"
    wanted = {"sheet.png"} | {f"{name}.{kind}" for name in METHODS for kind in ("svg", "png")}
    assert {path.name for path in folder.iterdir()} == wanted, "run `python -m benchmarks.methods`"


def test_every_method_has_a_row_in_concepts() -> None:
    from lorafusion.methods import METHODS

    text = (ROOT / "docs" / "concepts.md").read_text()
    assert [name for name in METHODS if f"| `{name}` |" not in text] == []
