"""What must not be imported: asked in a fresh interpreter."""

from __future__ import annotations

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
