"""scripts/check counts test cases; scripts/fuzz and scripts/configure run only when they must."""
import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.tree


@pytest.fixture
def check(load_script):
    return load_script("check")


@pytest.fixture
def read(check, tmp_path):
    """Returns the counts that scripts/check makes of one test program's result and output."""

    def run(result="OK", stdout="", stderr="", returncode=0):
        log = tmp_path / "testlog.json"
        log.write_text(json.dumps({"name": "dipper:unit / test_x", "result": result, "returncode": returncode,
                                   "stdout": stdout, "stderr": stderr}) + "\n", encoding="utf-8")
        return check.read_meson_log(log)

    return run


def test_cases_of_cmocka_are_counted(read):
    result = read(stdout="[==========] 3 test(s) run.\n", stderr="[  PASSED  ] 3 test(s).\n")
    assert (result.passed, result.failures, result.skips) == (3, [], [])


def test_failed_and_skipped_cases_are_named(read):
    result = read("FAIL", returncode=2,
                  stdout="[  SKIPPED ] test_b\n[  FAILED  ] test_c\n",
                  stderr="[  ERROR   ] --- 0x1 != 0x2\nCould not run test: Test setup failed\n[  ERROR   ] test_d\n"
                         "[  PASSED  ] 1 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] test_b\n"
                         "\n 1 SKIPPED TEST(S)\n[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] test_c\n"
                         "\n 2 FAILED TEST(S)\n")
    assert result.passed == 1
    assert result.failures == ["test_x:test_c", "test_x:test_d"]
    assert result.skips == ["test_x:test_b"]


def test_a_crash_after_passing_is_a_failure(read):
    result = read("FAIL", stderr="[  PASSED  ] 3 test(s).\n", returncode=-11)
    assert result.failures == ["test_x (fail, exit status -11)"]
    assert read("TIMEOUT").failures != []
    assert read("FAIL", stderr="[  FAILED  ] GROUP SETUP\n[  PASSED  ] 0 test(s).\n").failures != []


def test_a_program_without_cmocka_counts_once(read):
    assert read().passed == 1
    assert read("SKIP", returncode=77).skips == ["test_x"]


def test_allowed_skips_have_names_and_reasons(check):
    assert all(" " not in name for name in check.allowed_skips())


def test_skips_fail_unless_allowed(check, monkeypatch, tmp_path, capsys):
    skipped = check.Result()
    skipped.passed = 1
    skipped.skips = ["test_x:case"]
    monkeypatch.setattr(check, "sanitizers", lambda build: None)
    monkeypatch.setattr(check, "run_unit", lambda build, jobs, suites: skipped)
    monkeypatch.setattr(sys, "argv", ["check", "--unit", str(tmp_path)])
    for allowed, status, line in (([], 1, "1 passed, 1 failed"), (["test_x"], 0, "1 passed, 0 failed"),
                                  (["test_x:case"], 0, "1 passed, 0 failed"), (["test_y"], 1, "1 passed, 1 failed")):
        monkeypatch.setattr(check, "allowed_skips", lambda allowed=allowed: set(allowed))
        assert check.main() == status
        assert capsys.readouterr().out.splitlines()[-1] == line
    assert json.loads((tmp_path / "check.json").read_text()) == {"passed": 1, "failed": 1, "skipped": 1}


def copy_scripts(source, folder, *names):
    (folder / "scripts").mkdir()
    for name in names:
        shutil.copy(source / "scripts" / name, folder / "scripts" / name)


@pytest.fixture
def fuzz(source, tmp_path):
    """Runs scripts/fuzz over stand-ins for fuzz targets; a body of None is a source without a program."""
    copy_scripts(source, tmp_path, "fuzz")
    programs = tmp_path / "build-clang-asan" / "tests" / "fuzz"
    programs.mkdir(parents=True)
    (tmp_path / "tests" / "fuzz").mkdir(parents=True)

    def run(**bodies):
        for name, body in bodies.items():
            (tmp_path / "tests" / "fuzz" / f"{name}.c").touch()
            if body is not None:
                (programs / name).write_text("#!/bin/sh\n" + body + "\n")
                (programs / name).chmod(0o755)
        done = subprocess.run([tmp_path / "scripts" / "fuzz", "build-clang-asan", "1"], cwd=tmp_path, capture_output=True,
                              text=True)
        return done.returncode, done.stdout.splitlines()

    return run


GOOD = "echo stat::number_of_executed_units: 42 >&2"


def test_fuzz_targets_that_ran_pass(fuzz):
    status, lines = fuzz(fuzz_a=GOOD, fuzz_b=GOOD, fuzz_c=GOOD)
    assert status == 0
    assert lines[-1] == "3 passed, 0 failed"
    assert "42 runs" in lines[0]


@pytest.mark.parametrize("body", [GOOD + "; exit 77", "exit 0", None])
def test_fuzz_targets_that_crash_run_nothing_or_are_not_built_fail(fuzz, body):
    status, lines = fuzz(fuzz_a=GOOD, fuzz_b=body)
    assert status == 1
    assert lines[-1] == "1 passed, 1 failed"


def test_no_fuzz_target_at_all_fails(fuzz):
    assert fuzz()[0] == 1


@pytest.fixture
def configure(source, tmp_path):
    """Runs scripts/configure with a stand-in for meson. Returns the exit status and how often meson has run."""
    copy_scripts(source, tmp_path, "configure")
    (tmp_path / "bin").mkdir()
    meson = tmp_path / "bin" / "meson"
    meson.write_text('#!/bin/sh\n[ -e fail ] && exit 1\necho "$@" >>calls\ntouch build/build.ninja\n')
    meson.chmod(0o755)

    def run(*options, cc="gcc"):
        env = dict(os.environ, CC=cc, PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
        status = subprocess.run([tmp_path / "scripts" / "configure", "build", *options], env=env).returncode
        calls = tmp_path / "calls"
        return status, len(calls.read_text().splitlines()) if calls.exists() else 0

    run.folder = tmp_path
    return run


def test_configure_runs_meson_once(configure):
    assert configure("-Dwerror=true") == (0, 1)
    assert configure("-Dwerror=true") == (0, 1)


def test_configure_runs_meson_again_when_options_or_models_change(configure):
    configure()
    assert configure("-Dwerror=true") == (0, 2)
    model = configure.folder / "models" / "m" / "model.safetensors"
    model.parent.mkdir(parents=True)
    model.touch()
    assert configure("-Dwerror=true") == (0, 3)
    assert "--reconfigure" in (configure.folder / "calls").read_text().splitlines()[-1]
    model.unlink()
    assert configure("-Dwerror=true") == (0, 4)


def test_configure_runs_meson_again_after_a_failure(configure):
    (configure.folder / "fail").touch()
    assert configure() == (1, 0)
    (configure.folder / "fail").unlink()
    assert configure() == (0, 1)
