"""scripts/check-outside: the repository refers to no path or host outside it."""
import subprocess

import pytest

pytestmark = pytest.mark.tree


@pytest.fixture
def outside(source, tmp_path):
    def run(name, text):
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        done = subprocess.run([source / "scripts" / "check-outside", tmp_path], capture_output=True, text=True)
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize("text", [
    'open("../shared/data/words")',
    'open("/root/models/x")',
    'path = "/home/someone/dipper"',
    "pip install --index-url https://files.pythonhosted.org/x",
    "deb http://deb.debian.org/debian bookworm main",
])
def test_paths_and_hosts_outside_are_found(outside, text):
    status, said = outside("tests/test_x.py", text + "\n")
    assert status == 1
    assert "tests/test_x.py:1:" in said


@pytest.mark.parametrize("text", ["#!/usr/bin/env bash", "/tmp/scratch", "a/work/b", "https://example.org/home/x"])
def test_paths_and_hosts_inside_pass(outside, text):
    assert outside("scripts/x", text + "\n")[0] == 0


def test_test_data_is_not_read(outside):
    status, _ = outside("tests/data/words.txt", "/root/x\n")
    assert status == 1  # without other files there is nothing to check


def test_the_repository_passes(source):
    done = subprocess.run([source / "scripts" / "check-outside"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
