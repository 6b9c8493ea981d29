"""Store: what raters said, a file of lines for each; a line is on the disk before it is confirmed."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from lorafusion.errors import BadOption, UnreadableFile

RATER = re.compile(r"[\w.-]{1,40}")


class Store:
    """The answers of all raters of a run.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def add(self, rater: str, item: str, answers: Mapping[str, str]) -> None:
        """Keep an answer; a later one to the same item replaces it.

        Raises:
            BadOption: a name that is no file name.
        """
        path = self._path(rater)
        line = json.dumps({"item": item, "answers": dict(answers)}) + "\n"
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            # What a kill cut short must not swallow the next line.
            torn = path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
            with path.open("a", encoding="utf-8") as file:
                file.write("\n" * bool(torn) + line)
                file.flush()
                os.fsync(file.fileno())

    def answers(self, rater: str) -> dict[str, dict[str, str]]:
        """Item -> axis -> answer. A line that a kill cut short is no answer.

        Raises:
            BadOption: a name that is no file name.
            UnreadableFile: a whole line that is no answer.
        """
        path = self._path(rater)
        found: dict[str, dict[str, str]] = {}
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for number, line in enumerate(text.splitlines(), 1):
            try:
                said = json.loads(line) if line else None
            except ValueError:
                continue
            if said is not None:
                if not isinstance(said, dict) or set(said) != {"item", "answers"}:
                    raise UnreadableFile(f"{path}: line {number} is no answer; remove it")
                found[said["item"]] = said["answers"]
        return found

    @property
    def raters(self) -> list[str]:
        """Everyone who said something, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.jsonl"))

    def _path(self, rater: str) -> Path:
        if not RATER.fullmatch(rater) or rater.startswith("."):
            raise BadOption(
                f"rater {rater!r} is no name; use up to 40 letters, digits, dots and dashes"
            )
        return self.folder / f"{rater}.jsonl"
