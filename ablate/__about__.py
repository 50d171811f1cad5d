"""The version. The distribution is called `ablate-rnn` in pyproject.toml, where its name stands alone."""

__version__ = "0.1.0"
