"""The benchmark's folder holds what it says: LoRAs that can be used, none like another."""

from __future__ import annotations

from pathlib import Path

from benchmarks.library.folder import change, make
from lorafusion.library.hashes import duplicates
from lorafusion.library.index import Index
from lorafusion.library.listing import listing
from lorafusion.library.survey import survey


def test_the_benchmarks_folder_is_of_real_headers(tmp_path: Path) -> None:
    make(tmp_path, 30)
    files = listing(survey(tmp_path))
    assert len(files.usable) == 30
    assert {file.reading.family for file in files.files} == {"sd15", "sd21", "sdxl", "flux"}
    assert {file.text_from for file in files.files} == {"metadata"}
    assert duplicates(files.files, Index()) == []
    change(tmp_path)
    assert survey(tmp_path).read == 1
