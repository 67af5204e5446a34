"""Thousands of histories, and mutations of the code that the simulation must notice (README.md)."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
HERE = Path(__file__).parent
BUILD = Path(os.environ.get("DIPPER_BUILD", "build")).absolute()


def run(*command):
    subprocess.run(["ninja", "-C", BUILD, "tests/simulation"], check=True, capture_output=True)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_simulation_twenty_thousand_histories():
    run(BUILD / "tests/simulation", "1001", "20000")


def test_simulation_notices_mutations():
    run(sys.executable, HERE / "mutations.py", BUILD)
