"""Passwords in addresses are used, and never written or printed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.credentials import masked
from tests.conftest import Command

SECRET = "pa55word-of-a-lab"
SECRETS = st.text("abcXYZ019.:/@%!$&*+=,;~#?-_", min_size=1, max_size=20).map(lambda text: f"S3C{text}R3T")


@given(SECRETS, st.sampled_from(["http", "https", "postgresql", "mysql+pymysql"]), st.sampled_from(["lab", ""]))
def test_no_password_is_left_in_an_address(secret: str, scheme: str, user: str) -> None:
    text = f'a line: "{scheme}://{user}:{secret}@host.org:80/study" and more'
    assert secret not in masked(text)
    assert "host.org:80/study" in masked(text)


@given(SECRETS.map(lambda text: quote(text, safe="")), st.sampled_from(["password", "sslpassword", "access_token"]))
def test_no_password_is_left_in_the_parameters_of_an_address(secret: str, name: str) -> None:
    found = masked(f"postgresql://host/study?user=lab&{name}={secret}&sslmode=require")
    assert secret not in found and found.endswith("&sslmode=require")


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:5000", "sqlite:////tmp/a b/mlflow.db", "postgresql://lab@host:5432/study", "p = 0.05: 3 @ 4"],
)
def test_what_holds_no_password_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_a_sweep_writes_and_prints_no_password(sweep: Command, tmp_path: Path) -> None:
    done = sweep("--tracking-uri", f"http://lab:{SECRET}@127.0.0.1:9", "--trials", "1", "--variants", "V")
    assert done.returncode == 0 and "lab:***@127.0.0.1:9" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    sweep("--storage", f"postgresql://lab:{SECRET}@127.0.0.1:9/x?password={SECRET}", "--report-only")
    refused = sweep("--storage", f"postgresql://lab:{SECRET}@127.0.0.1:9/x", "--fresh")
    assert refused.returncode == 2 and SECRET not in refused.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file.name for file in files if SECRET.encode() in file.read_bytes()] == []
    assert "lab:***@127.0.0.1:9" in (tmp_path / "results" / "s" / "config.toml").read_text()
