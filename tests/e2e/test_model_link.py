"""The model inside the program: packed by dipper-bare, linked by `make`, and what a program without one says."""
import os
import shutil
import subprocess

import pytest

from program import clean_environment

TEXT = "hello world\nHow do birds stay aloft?\n"


def test_the_packed_model_and_its_folder_answer_as_the_program_does(run, source, tmp_path):
    wanted = run("embed", input=TEXT).stdout
    folder, packed = source / "models" / "all-MiniLM-L6-v2", tmp_path / "model.dipper"
    assert "packed" in run("model", "pack", folder, packed).stdout
    assert run("embed", "--model", packed, input=TEXT).stdout == wanted
    assert run("embed", "--model", folder, input=TEXT).stdout == wanted
    assert run("embed", input=TEXT, env={"MODEL_PATH": packed}).stdout == wanted
    told = {run("model", "info", *more).stdout for more in ([], ["--model", packed], ["--model", folder])}
    assert len(told) == 1 and "384" in told.pop()
    again = tmp_path / "again.dipper"
    run("model", "pack", folder, again)
    assert again.read_bytes() == packed.read_bytes()


def test_a_model_in_an_offline_hub_cache_is_found(run, source, tmp_path):
    """The layout that huggingface_hub leaves behind: refs/main names a snapshot, whose files are links to blobs."""
    hub = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs" / "main").write_text("0123abcd")
    shutil.copytree(source / "models" / "all-MiniLM-L6-v2", hub / "snapshots" / "0123abcd", copy_function=os.symlink)
    done = run("embed", "--model", "sentence-transformers/all-MiniLM-L6-v2", input=TEXT, env={"HF_HUB_CACHE": tmp_path / "hub"})
    assert done.stdout == run("embed", input=TEXT).stdout


@pytest.mark.tree
def test_make_without_a_model_builds_and_after_fetching_relinks(run, source, tmp_path):
    """A copy of the sources: `make`, then models/ appears, `make` again, then it is gone again."""
    copy = tmp_path / "copy"
    names = subprocess.run(["git", "ls-files", "-z", "--cached"], cwd=source, capture_output=True, check=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (source / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, copy / name)

    env = clean_environment(YES=1)
    for name in ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "BUILD", "CC", "CI", "SANITIZE", "MESON_OPTIONS"):
        env.pop(name, None)  # of the `make check` that runs this test

    def make():
        # Without optimization it takes a third of the time, and answers the same bits.
        done = subprocess.run(["make", "JOBS=2", "MESON_OPTIONS=--buildtype=debug"], cwd=copy, env=env,
                              capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def says_what_is_missing():
        for command in (["embed"], ["index", "n", "-"], ["search", "n", "q"], ["serve", "--port", "0"], ["model", "info"]):
            root = [] if command[0] in ("embed", "model") else ["--root", tmp_path / "bucket"]
            done = run(*command, *root, program=program, input=TEXT, status=1)
            assert "carries no model" in done.stderr and "scripts/fetch-model" in done.stderr and "make" in done.stderr

    program, models = copy / "build" / "dipper", copy / "models"
    make()
    says_what_is_missing()
    assert program.stat().st_size < 20e6
    with_folder = ["embed", "--model", source / "models" / "all-MiniLM-L6-v2"]
    wanted = run("embed", input=TEXT).stdout
    assert run(*with_folder, program=program, input=TEXT).stdout == wanted

    models.symlink_to(source / "models")
    relinked = make()
    assert "Compiling C object" not in relinked
    assert run("embed", program=program, input=TEXT).stdout == wanted
    assert "no work to do" in make()

    models.unlink()
    make()
    says_what_is_missing()
