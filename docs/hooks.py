"""Hooks of the build: what the pages show that stands elsewhere in the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = re.compile(r"\.\./results/(?P<study>[\w-]+)/report/figures/")


def on_files(files: Any, config: Any) -> Any:
    """The figures of the studies in results/ are pages' pictures too."""
    from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]  with the extra docs

    for page in ROOT.joinpath("docs").rglob("*.md"):
        for found in re.finditer(FIGURES.pattern + r"(?P<name>[\w-]+\.png)", page.read_text(encoding="utf-8")):
            place = f"figures/{found['study']}/{found['name']}"
            if files.get_file_from_path(place) is None:
                picture = ROOT / "results" / found["study"] / "report" / "figures" / found["name"]
                files.append(File.generated(config, place, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Pages name these pictures by where they stand, so that they are seen in the repository as well."""
    return FIGURES.sub(r"figures/\g<study>/", markdown)
