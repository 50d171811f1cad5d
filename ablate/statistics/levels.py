"""The levels that all tests and intervals are made at."""

from __future__ import annotations

ALPHA = 0.05  # of tests; intervals cover 1 - ALPHA
POWER = 0.8  # of planning: the share of studies that find what is there
