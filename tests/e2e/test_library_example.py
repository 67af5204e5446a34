"""examples/library: the same catalogue from Python and from C."""
import os
import subprocess
import sys

import pytest

from program import clean_environment

pytestmark = pytest.mark.tree


def test_the_python_example_prints_what_it_finds(source, build, tmp_path):
    subprocess.run(["ninja", "-C", str(build), "python-package"], check=True, stdout=subprocess.DEVNULL)
    for _ in range(2):  # the second run finds the rows of the first
        done = subprocess.run([sys.executable, source / "examples" / "library" / "library.py", tmp_path / "bucket"], text=True,
                              env=dict(clean_environment(), PYTHONPATH=str(build / "python")), stdout=subprocess.PIPE, check=True)
        assert done.stdout.splitlines() == [
            "late versions written: 0", "deleted: 90", "1 {'title': 'Sailing alone', 'year': 1959, 'version': 1, 'lent': True}",
            '3 {\'title\': "Ship\'s biscuit", \'year\': 1996, \'version\': 1}', "newest: [2099, 2098, 2097]", "rows: 13"]


def test_the_c_example_prints_what_it_finds(source, build, tmp_path):
    program = tmp_path / "library"
    subprocess.run([os.environ.get("CC", "cc"), "-Wall", "-Wextra", "-Werror", f"-I{source / 'include'}",
                    source / "examples" / "library" / "library.c", f"-L{build}", "-ldipper", f"-Wl,-rpath,{build}", "-o", program],
                   check=True)
    for _ in range(2):
        done = subprocess.run([program, tmp_path / "bucket"], text=True, env=clean_environment(), stdout=subprocess.PIPE, check=True)
        assert done.stdout.splitlines() == [
            "rows_upserted: 3", "rows_upserted: 0", "rows_deleted: 1", '1 {"title":"Sailing alone","year":1959,"version":1}',
            '2 {"title":"Sourdough","year":2016,"version":1}']
