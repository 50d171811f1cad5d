"""The figures of a report: plain functions from tables to matplotlib figures, each drawn without a display."""

from ablate.report.boxplots import boxes
from ablate.report.lineplots import curves, learning_rates

FIGURES = {"boxes": boxes, "curves": curves, "learning_rates": learning_rates}

__all__ = ["FIGURES", "boxes", "curves", "learning_rates"]
