"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that lies beside a checkout, or a skip that says so."""
    for root in (Path(os.environ.get("ZOO_DATA", "")), Path(__file__).parents[2] / "shared" / "data"):
        if root.is_absolute() and root.is_dir():
            return root
    pytest.skip("no real data: neither ZOO_DATA nor ../shared/data beside the checkout is a folder")
