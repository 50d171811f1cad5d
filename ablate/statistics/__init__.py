"""Tests, intervals and corrections on plain arrays; nothing here knows of trials, tasks or variants."""
