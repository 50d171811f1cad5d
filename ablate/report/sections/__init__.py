"""The sections of the report's page; adding a section is adding a file here, with its .html beside it."""

from ablate.definitions.discovery import import_modules

import_modules(__name__, __path__)
