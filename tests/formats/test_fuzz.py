"""Mutated files are refused in one line or read completely: no crash, no hang, no memory.

LORAFUSION_FUZZ_CASES sets how many are tried; each has a number, and
``python -m tests.formats.fuzz NUMBER 1`` tries it alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.formats.mutants import MUTATIONS, mutant

CASES = int(os.environ.get("LORAFUSION_FUZZ_CASES", "480"))


def test_mutants_are_refused_or_read() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.formats.fuzz", "0", str(CASES)]
    ran = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout)
    assert found["wrong"] == []
    assert found["read"] + found["refused"] == CASES
    if 16 * len(MUTATIONS) <= CASES:  # most are broken, and some changes are harmless
        assert found["refused"] > CASES / 2
        assert found["read"] > CASES / 50


def test_a_mutant_is_the_same_for_the_same_number() -> None:
    for number in range(2 * len(MUTATIONS)):
        assert mutant(number) == mutant(number)
