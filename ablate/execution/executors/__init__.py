"""Executors, one file each; `ablate/execution/executor.py` says what an executor is."""
