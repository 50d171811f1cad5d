"""Statistics: registered functions from a study's results to tables; nothing here draws or trains.

Each module of this folder is imported with it, so an analysis is added by adding a file.
"""

from ablate.analysis.registry import ANALYSES, Analysis, AnalysisTables, analysis
from ablate.definitions.discovery import import_modules

import_modules(__name__, __path__)

__all__ = ["ANALYSES", "Analysis", "AnalysisTables", "analysis"]
