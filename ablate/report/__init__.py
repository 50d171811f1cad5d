"""The report of a study: figures, tables and one page, made from its tables alone."""

from ablate.report.facts import Facts, TaskFacts, VariantFacts
from ablate.report.write import write_report

__all__ = ["Facts", "TaskFacts", "VariantFacts", "write_report"]
