"""An extension of the API reference: what stands in a comment behind a field is its description."""

from __future__ import annotations

import griffe  # pyright: ignore[reportMissingImports]  with the extra docs


class FieldComments(griffe.Extension):
    """Reads `name: type = default  # what it means`, and the comment lines above where there is none behind."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **kwargs: object) -> None:
        if attr.docstring or attr.lineno is None or attr.parent is None or not attr.parent.is_class:
            return
        lines = attr.parent.filepath.read_text(encoding="utf-8").splitlines()  # pyright: ignore[reportAttributeAccessIssue]
        _, found, text = lines[attr.lineno - 1].partition("  # ")
        if not found:
            above = attr.lineno - 2
            while lines[above].lstrip().startswith("# "):
                text = f"{lines[above].strip().removeprefix('# ')} {text}".strip()
                above -= 1
        if text:
            attr.docstring = griffe.Docstring(text, lineno=attr.lineno, parent=attr)
