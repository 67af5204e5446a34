"""The built-in model equals its file and its folder. A program without a model says how to get one."""
import os
import shutil

import pytest

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
    """The test makes the layout of huggingface_hub: refs/main names a snapshot, whose files are links to blobs."""
    hub = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs" / "main").write_text("0123abcd")
    shutil.copytree(source / "models" / "all-MiniLM-L6-v2", hub / "snapshots" / "0123abcd", copy_function=os.symlink)
    done = run("embed", "--model", "sentence-transformers/all-MiniLM-L6-v2", input=TEXT, env={"HF_HUB_CACHE": tmp_path / "hub"})
    assert done.stdout == run("embed", input=TEXT).stdout


@pytest.mark.parametrize("command", [
    ["embed"], ["model", "info"], ["index", "n", "-", "--root", "bucket"], ["search", "n", "words", "--root", "bucket"],
    ["serve", "--port", "0", "--root", "bucket"],
], ids=lambda command: command[0])
def test_a_program_without_a_model_says_what_is_missing_and_what_gets_it(run, build, command):
    """tests/scripts/test_relink.py tests that `make` builds the model in."""
    done = run(*command, program=build / "dipper-bare", input=TEXT, status=1)
    assert "carries no model" in done.stderr and "scripts/fetch-model" in done.stderr and "--model" in done.stderr
    assert done.stdout == ""


def test_a_program_without_a_model_takes_one_by_its_path(run, build, source):
    folder = source / "models" / "all-MiniLM-L6-v2"
    assert run("embed", "--model", folder, program=build / "dipper-bare", input=TEXT).stdout == run("embed", input=TEXT).stdout
