"""Fixtures of the tests that use the Python package; here `dipper` is the package, not the program."""
import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def dipper(build):
    """The package: the installed one if DIPPER_PYTHON says so, otherwise the build folder's."""
    if os.environ.get("DIPPER_PYTHON") != "installed":
        subprocess.run(["ninja", "-C", str(build), "python-package"], check=True, stdout=subprocess.DEVNULL)
        sys.path.insert(0, str(build / "python"))
    import dipper
    return dipper


@pytest.fixture(scope="session")
def embedder(dipper):
    return dipper.Embedder()
