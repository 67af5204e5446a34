"""scripts/check-avx512: how it reads the output of the emulated computer. A stand-in replaces Bochs."""
import time

import pytest

pytestmark = pytest.mark.tree

SAID = ["check-avx512: test_a", "[  PASSED  ] 2 test(s).", "check-avx512: test_a ended 0",
        "check-avx512: test_b", "[  PASSED  ] 1 test(s).", "[  FAILED  ] test_b_is_right", " 1 FAILED TEST(S)",
        "check-avx512: test_b ended 1", "check-avx512: test_c", "[ RUN      ] test_c_hangs"]


@pytest.fixture
def script(load_script):
    return load_script("check-avx512")


@pytest.fixture
def bochs(tmp_path, monkeypatch):
    """bochs(body): puts a stand-in for Bochs first on the PATH, a shell script with this body."""

    def make(body):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "bochs").write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (folder / "bochs").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return make


def test_cases_are_counted_and_unfinished_programs_fail(script, tmp_path):
    said = script.watch(iter(SAID))
    result = script.counted(tmp_path, ["test_a", "test_b", "test_c", "test_d"], said)
    assert result.passed == 3
    assert result.failures == ["test_b:test_b_is_right", "test_c (timeout, exit status None)",
                               "test_d (timeout, exit status None)"]


def test_a_crash_after_passing_is_a_failure(script, tmp_path):
    said = script.watch(iter(["check-avx512: test_a", "[  PASSED  ] 2 test(s).", "check-avx512: test_a ended 139"]))
    assert script.counted(tmp_path, ["test_a"], said).failures == ["test_a (fail, exit status 139)"]


def test_nothing_is_read_after_the_end(script):
    lines = iter(SAID[:3] + ["check-avx512: end", "more"])
    assert list(script.watch(lines)) == ["test_a"]
    assert next(lines) == "more"


def test_a_computer_that_stops_is_not_waited_for(script, bochs, tmp_path):
    bochs("printf 'one\\r\\ntwo\\r\\n' >serial")
    assert list(script.console(tmp_path, 5)) == ["one", "two"]


def test_a_computer_that_hangs_is_ended_with_the_time_allowed(script, bochs, tmp_path):
    bochs("trap '' TERM; echo one >serial; while :; do :; done")
    started = time.monotonic()
    assert list(script.console(tmp_path, 1 / 60)) == ["one"]
    assert time.monotonic() - started < 60


def test_the_first_program_runs_every_test_in_its_environment(script):
    text = script.first_program([{"name": "test_a", "env": {"B": "two words", "A": "1"}}], "").decode()
    assert "A='1' B='two words' /tests/test_a </dev/null" in text and "embed" not in text
    assert "DIPPER_SIMD=avx512vnni /dipper embed" in script.first_program([], "a text\n").decode()
