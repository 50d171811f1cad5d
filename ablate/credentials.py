"""Passwords and tokens in addresses: they are used, and never written or printed."""

from __future__ import annotations

import re

MASK = "***"

# Up to the last @ of the word, since a password that is not quoted as it should be may hold one, or a slash.
_USER_INFO = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s\"']+(?P<after>@)", re.IGNORECASE)
_PARAMETER = re.compile(
    r"(?P<before>[?&;][^=&;\s\"']*(?:password|passwd|pwd|token|secret|apikey|api_key)[^=&;\s\"']*=)[^&;\s\"']+",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """A text with the passwords of its addresses blotted out: `http://user:***@host` and `?password=***`."""
    text = _USER_INFO.sub(rf"\g<before>{MASK}\g<after>", text)
    return _PARAMETER.sub(rf"\g<before>{MASK}", text)
