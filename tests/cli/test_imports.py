"""What must not be imported: asked in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "diffusers", "transformers", "sentence_transformers")

SCRIPT = """
import sys
{action}
print([name for name in {heavy} if name in sys.modules])
"""

HELP = "from lorafusion.cli import main; assert main({words}) == 0; print()"


@pytest.mark.parametrize(
    "action",
    [
        "import lorafusion",
        "import lorafusion.errors",
        HELP.format(words=["--help"]),
        HELP.format(words=["--version"]),
        HELP.format(words=["generate", "--help"]),
        HELP.format(words=["explain", "--help"]),
        HELP.format(words=["library", "list", "--help"]),
        HELP.format(words=["bench", "run", "--help"]),
        HELP.format(words=["train", "lora", "--help"]),
    ],
)
def test_nothing_heavy_is_imported(action: str) -> None:
    script = SCRIPT.format(action=action, heavy=HEAVY)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


EXPLAIN = """
import json, sys
from lorafusion.cli import main
assert main(["explain", {prompt!r}, "--json"]) == 0
print("torch" in sys.modules)
"""


def test_a_known_library_is_routed_without_torch() -> None:
    """Torch takes a second to import; words that no key has are encoded without it, too."""
    prompts = ("a robot wearing a crown", "a crown on a tin robot")
    told = []
    for prompt in prompts:
        command = [sys.executable, "-c", EXPLAIN.format(prompt=prompt)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        document, torch = out.rstrip().rsplit("\n", 1)
        told.append((torch, json.loads(document)))
    assert [torch for torch, _ in told] == ["True", "False"]
    for _, document in told:
        chosen = [one["name"] for one in document["candidates"] if not one["left_out"]]
        assert set(chosen) == {"robot", "crown"}


def test_python_m_lorafusion_is_the_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "lorafusion", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("lorafusion: ")
    assert ran.stderr.count("\n") == 1
