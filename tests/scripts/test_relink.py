"""A build without a model, and how `make` adds the model when its file is there."""
import os
import pathlib
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.tree


def run(command, cwd, **more):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DIPPER_", "MAKE", "MFLAGS"))}
    return subprocess.run(command, cwd=cwd, env=environment | more, capture_output=True, text=True, timeout=540)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the repository that can be built, without a model."""
    source = pathlib.Path(__file__).resolve().parents[2]
    copy = tmp_path_factory.mktemp("tree")
    for name in ["meson.build", "meson_options.txt", "include", "src", "web", "scripts", "bench", "tests", "python"]:
        if (source / name).is_dir():
            shutil.copytree(source / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        elif (source / name).exists():
            shutil.copy2(source / name, copy / name)
    return copy


def build(tree):
    """Runs the commands that `make` runs when all tools are installed."""
    done = run(["scripts/configure", "build", "--buildtype=debug", "-Dwerror=false"], tree)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(["ninja", "-C", "build", "dipper", "dipper-bare"], tree)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout


def embed(tree):
    return subprocess.run([tree / "build/dipper", "embed"], input="a boat at sea\n", cwd=tree, capture_output=True,
                          text=True, timeout=60)


def test_build_without_a_model_says_so_and_relinks_when_it_comes(tree, source):
    model = source / "models/all-MiniLM-L6-v2"
    assert model.exists(), "run scripts/fetch-model"
    build(tree)
    done = embed(tree)
    assert done.returncode != 0
    assert "scripts/fetch-model" in done.stderr and "make" in done.stderr
    assert done.stdout == ""

    (tree / "models").mkdir()
    (tree / "models" / model.name).symlink_to(model)
    said = build(tree)
    assert "Compiling" not in said.replace("embedded_model", ""), "only the program must be linked again"
    done = embed(tree)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 and done.stdout.startswith('{"embedding":[')

    assert "no work to do" in build(tree)

    # If the model is removed, the next build carries no model.
    (tree / "models" / model.name).unlink()
    build(tree)
    assert embed(tree).returncode != 0


def test_build_takes_a_packed_model(tree, source, tmp_path):
    model = source / "models/all-MiniLM-L6-v2"
    packed = tmp_path / "minilm.dipper"
    done = run([tree / "build/dipper-bare", "model", "pack", model, packed], tree)
    assert done.returncode == 0, done.stderr
    assert 22e6 < packed.stat().st_size < 25e6
    done = run(["scripts/configure", "build", "--buildtype=debug", "-Dwerror=false", f"-Dpacked_model={packed}"], tree)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(["ninja", "-C", "build", "dipper"], tree)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    done = embed(tree)
    assert done.returncode == 0, done.stderr
