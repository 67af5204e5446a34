"""What the Python tests share: where the build is, the program in it, and folders to work in."""
import os
import pathlib

import pytest

SOURCE = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def source():
    """The top of the repository."""
    return SOURCE


@pytest.fixture(scope="session")
def build():
    """The build folder under test; scripts/check names it in DIPPER_BUILD."""
    return pathlib.Path(os.environ.get("DIPPER_BUILD", SOURCE / "build"))


@pytest.fixture(scope="session")
def dipper(build):
    """The program under test."""
    program = build / "dipper"
    assert program.exists(), f"{program} is not there: run make first"
    return program


@pytest.fixture(scope="session")
def test_data():
    """tests/data."""
    return SOURCE / "tests" / "data"
