"""Cache: answers by what was asked, so that nothing is paid twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lorafusion.evaluation.judge.answer import Answer, Asker
from lorafusion.evaluation.report.scores import write_text


@dataclass(frozen=True)
class Cached:
    """An asker that remembers.

    Attributes:
        asker: who is asked what is not known yet.
        folder: one file an answer, named by a hash of model, settings, text, images and attempt.
    """

    asker: Asker
    folder: Path

    def ask(self, text: str, images: Sequence[bytes], attempt: int = 0) -> Answer:
        """As `Asker.ask`; an answer that could not be read is asked for anew with the next attempt."""
        path = self.path(text, images, attempt)
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            return Answer(kept["text"], (), kept["tokens_in"], kept["tokens_out"], cached=True)
        answer = self.asker.ask(text, images)
        if answer.text is not None:
            kept = asdict(replace(answer, troubles=())) | {"asker": self.asker.id, "asked": text}
            write_text(path, json.dumps(kept, indent=1) + "\n")
        return answer

    def path(self, text: str, images: Sequence[bytes], attempt: int = 0) -> Path:
        """Where an answer is kept."""
        digest = hashlib.sha256()
        for part in (self.asker.id.encode(), text.encode(), str(attempt).encode(), *images):
            digest.update(hashlib.sha256(part).digest())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.json"
