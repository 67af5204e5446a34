"""What the tests of scripts share."""
import subprocess

import pytest


@pytest.fixture
def check_files(source, tmp_path):
    """check_files(script, files): writes a small repository of these files, and runs scripts/`script` over it. Returns the
    exit status and the printed lines without the last, which counts."""

    def run(script, files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([source / "scripts" / script, tmp_path], capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()[:-1]

    return run
