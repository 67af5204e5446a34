"""The models of the log (see README.md): each rule holds, and each is needed."""
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import run  # noqa: E402  (run.py of this folder)
import search  # noqa: E402

pytestmark = pytest.mark.tree


@pytest.mark.parametrize("title, variant", list(run.variants(fast=True)), ids=lambda v: v if isinstance(v, str) else "")
def test_models_fast(title, variant):
    assert run.run(title, variant)


@pytest.mark.long
@pytest.mark.parametrize("title, variant", [(t, v) for t, v in run.variants() if not v.fast],
                         ids=lambda v: v if isinstance(v, str) else "")
def test_models_whole(title, variant):
    assert run.run(title, variant)


@pytest.mark.long
def test_models_spin():
    done = subprocess.run([sys.executable, HERE / "run_spin.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_models_search_that_ends_early_shows_nothing():
    counter = search.Model(0, lambda n: [("next", n + 1)], lambda n: "ten-is-too-much" if n == 10 else None)
    early = search.search(counter, limit=5)
    holds = search.Variant("counter", "all rules", None, lambda: counter)
    assert not early.complete
    assert search.verdict(holds, early) == ("NOTHING SHOWN: ended early", False)
    found = search.search(counter)
    assert found.broken == "ten-is-too-much" and found.trace == ["next"] * 10
    assert not search.verdict(holds, found)[1]
    assert search.verdict(holds._replace(expect="ten-is-too-much"), found)[1]
    assert not search.verdict(holds._replace(expect="another"), found)[1]
