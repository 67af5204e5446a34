"""Fixtures of the end-to-end tests: the program, run in an empty folder without the caller's settings."""
import json
import subprocess

import pytest

from program import clean_environment, json_lines

TIMEOUT = 120  # seconds; a program that hangs fails its test


@pytest.fixture
def run(dipper, tmp_path):
    """run("search", …, input="…", env={…}, status=0): the program's CompletedProcess, its streams as text.

    Fails the test if the exit status is not `status` (None permits any). The current folder is empty."""
    folder = tmp_path / "cwd"
    folder.mkdir()

    def go(*arguments, input=None, env=None, status=0, program=dipper, **kwargs):
        if input is None:
            kwargs.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run([str(program), *map(str, arguments)], input=input, capture_output=True,
                              encoding="utf-8", errors="surrogateescape", cwd=folder, timeout=TIMEOUT,
                              env=clean_environment(**(env or {})), check=False, **kwargs)
        if status is not None:
            assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr}"
        return done

    return go


@pytest.fixture
def start(dipper, tmp_path):
    """start("embed", …): the program as a Popen with binary pipes. The end of the test kills it."""
    begun = []

    def go(*arguments, env=None, program=dipper, **kwargs):
        for stream in ("stdin", "stdout", "stderr"):
            kwargs.setdefault(stream, subprocess.PIPE)
        process = subprocess.Popen([str(program), *map(str, arguments)], cwd=tmp_path,
                                   env=clean_environment(**(env or {})), **kwargs)
        begun.append(process)
        return process

    yield go
    for process in begun:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


@pytest.fixture
def rows(tmp_path):
    """rows({…}, …): a JSON-lines file of these rows."""
    count = 0

    def write(*items, name=None):
        nonlocal count
        count += 1
        path = tmp_path / (name or f"rows{count}.jsonl")
        path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
        return path

    return write


@pytest.fixture
def ask(run):
    """ask(namespace, words, root, …): the rows of the answer of `dipper search --json`."""
    def go(namespace, words, root, *more):
        (answer,) = json_lines(run("search", namespace, words, "--root", root, "--json", *more).stdout)
        return answer["rows"]

    return go
