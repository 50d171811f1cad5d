"""The report of a study: figures, tables and one page, made from its results alone."""

from ablate.report import figures, sections  # what they register must be there
from ablate.report.registry import FIGURES, SECTIONS, figure, section
from ablate.report.write import write_report

__all__ = ["FIGURES", "SECTIONS", "figure", "figures", "section", "sections", "write_report"]
