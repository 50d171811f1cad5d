"""The figures of a report, each drawn from tables alone; adding a figure is adding a file here."""

from ablate.definitions.discovery import import_modules

import_modules(__name__, __path__)
