"""Hooks of the build: what the pages show that stands elsewhere in the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = "results/example/report/figures/"


def on_files(files: Any, config: Any) -> Any:
    """The figures of the example study are pages' pictures too."""
    from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]  with the extra docs

    for picture in sorted((ROOT / FIGURES).glob("*.png")):
        files.append(File.generated(config, f"figures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Pages name these pictures by where they stand, so that they are seen in the repository as well."""
    return markdown.replace(f"../{FIGURES}", "figures/")
