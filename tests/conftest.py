"""Fixtures of all Python tests: the build folder, the program in it, and the test data."""
import importlib.machinery
import importlib.util
import os
import pathlib
import signal
import sys

import pytest

import surroundings

surroundings.settle()

SOURCE = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def source():
    """The top folder of the repository."""
    return SOURCE


@pytest.fixture
def load_script(source):
    """load_script("check"): imports a script of scripts/ as a module, although its name has no .py."""

    def load(name):
        sys.dont_write_bytecode = True
        loader = importlib.machinery.SourceFileLoader(f"dipper_{name}", str(source / "scripts" / name))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        loader.exec_module(module)
        return module

    return load


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


TEST_SECONDS = 300


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that hangs fails, and the later tests still run."""

    def too_long(_signal, _frame):
        raise TimeoutError(f"{item.nodeid} ran for more than {TEST_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
