#!/usr/bin/env python
"""Sweep LSTM variants over tasks: python run_sweep.py --variants all (see --help)."""

import sys

from ablate.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
