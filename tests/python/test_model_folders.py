"""Model folders with other small files: Dipper's vectors equal sentence-transformers', or it names what it does not support.

tests/golden/make_model_folders.py made tests/data/folders/folders.json with the library.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.tree

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "data/folders/folders.json").read_text(encoding="utf-8"))
TEXTS, CASES = GOLDEN["texts"], GOLDEN["cases"]


@pytest.fixture(scope="module")
def dipper(build):
    if os.environ.get("DIPPER_PYTHON") != "installed":
        subprocess.run(["ninja", "-C", str(build), "python-package"], check=True, stdout=subprocess.DEVNULL)
        sys.path.insert(0, str(build / "python"))
    import dipper
    return dipper


@pytest.fixture
def write_folder(test_data, tmp_path):
    """Writes the folder of a case, as the maker does."""

    def write(case, name="model"):
        folder = tmp_path / name
        shutil.copytree(test_data / "onnx" / "tiny", folder, ignore=shutil.ignore_patterns("onnx"))
        if "moved" in case:
            (folder / case["moved"]).mkdir()
            for file in ("config.json", "tokenizer.json", "model.safetensors", "sentence_bert_config.json"):
                (folder / file).rename(folder / case["moved"] / file)
        for path, content in case["files"].items():
            (folder / path).parent.mkdir(exist_ok=True)
            if content is None:
                (folder / path).unlink()
            else:
                (folder / path).write_text(json.dumps(content), encoding="utf-8")
        return folder

    return write


def cosines(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("case", [c for c in CASES if "vectors" in c], ids=lambda case: case["name"])
def test_vectors_equal_sentence_transformers(dipper, write_folder, case):
    with dipper.Embedder(write_folder(case), precision="fp32") as embedder:
        for encode, want in ((embedder.encode, "plain"), (embedder.encode_query, "query"), (embedder.encode_document, "document")):
            # normalize=False gives the pooled vector. Its direction is the library's, whether or not the model normalises.
            assert cosines(encode(TEXTS, normalize=False), case["vectors"][want]).min() > 0.999999, want


@pytest.mark.parametrize("case", [c for c in CASES if "refused" in c], ids=lambda case: case["name"])
def test_unsupported_features_are_named(dipper, write_folder, case):
    for precision in ("int8", "fp32"):
        with pytest.raises(dipper.Error) as caught:
            dipper.Embedder(write_folder(case, precision), precision=precision)
        assert case["refused"] in str(caught.value)


def told(program, folder, *settings):
    done = subprocess.run([program, "model", "info", "--json", "--model", folder, *settings], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def program(build):
    return build / "dipper"


def test_the_fingerprint_changes_whenever_vectors_do(program, write_folder):
    """The fingerprint of plain texts and documents is part of a namespace and of cache keys."""
    seen = {}
    for i, case in enumerate(c for c in CASES if "vectors" in c):
        mark = told(program, write_folder(case, str(i)))["fingerprint"]
        vectors = [case["vectors"][kind] for kind in ("plain", "document")]
        for other, name in seen.get(mark, ()):
            assert np.allclose(vectors, other, atol=1e-6), f"{case['name']} and {name} have one fingerprint"
        seen.setdefault(mark, []).append((vectors, case["name"]))
    assert len(seen) > 20


PROMPTS = {"files": {"config_sentence_transformers.json": {"prompts": {"query": "river boat ", "document": "salt "}}}}
ROWS = [{"id": 1, "text": "cat dog"}, {"id": 2, "text": "the wind of a star"}]


def test_namespaces_use_the_prompts(dipper, program, write_folder, tmp_path):
    folder = write_folder(PROMPTS)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")

    def run(*arguments):
        return subprocess.run([program, *arguments, "--root", tmp_path / "root", "--model", folder], capture_output=True, text=True, check=False)

    def distances(*arguments):
        done = run("search", "n", "heat", "--rank", "meaning", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return {row["id"]: row["$dist"] for row in json.loads(done.stdout)["rows"]}

    assert run("index", "n", tmp_path / "rows.jsonl").returncode == 0
    embedder = dipper.Embedder(folder)
    documents = embedder.encode_document(row["text"] for row in ROWS)

    def expected(query):
        return {row["id"]: pytest.approx(1 - float(query @ vector), abs=5e-3) for row, vector in zip(ROWS, documents)}

    assert distances() == expected(embedder.encode_query("heat")) != expected(embedder.encode("heat"))
    assert distances("--query-prompt", "none") == expected(embedder.encode("heat"))
    assert distances("--query-prompt", "cat ") == expected(embedder.encode("cat heat"))
    namespace = dipper.Namespace(tmp_path / "root", "n", embedder=embedder)
    assert {row.id: row.dist for row in namespace.query("heat")} == expected(embedder.encode_query("heat"))
    # With another document prompt, the fingerprint is that of another model.
    done = run("search", "n", "heat", "--document-prompt", "none")
    assert done.returncode == 1 and "model" in done.stderr


def test_settings_change_prompts(program, write_folder):
    folder = write_folder(PROMPTS)
    assert told(program, folder)["prompts"] == {"default": "", "query": "river boat ", "document": "salt "}
    assert told(program, folder, "--default-prompt", "cat ", "--query-prompt", "none", "--document-prompt", "wind ")["prompts"] == {
        "default": "cat ", "query": "", "document": "wind "}
    packed = folder / "packed"
    subprocess.run([program, "model", "pack", folder, packed], check=True, stdout=subprocess.DEVNULL)
    assert told(program, packed)["prompts"] == told(program, folder)["prompts"]
    done = subprocess.run([program, "model", "info", "--model", folder, "--query-prompt", "cat " * 40], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "no room" in done.stderr


# ---- what is in a folder, and what it is called ----

@pytest.mark.parametrize("gone, there, says", [
    ("model.safetensors", ["model.safetensors.index.json"], ["several files", "save_pretrained"]),
    ("model.safetensors", ["pytorch_model.bin"], ["pytorch_model.bin", "save_pretrained"]),
    ("model.safetensors", ["pytorch_model.bin.index.json"], ["save_pretrained"]),
    ("model.safetensors", ["tf_model.h5"], ["TensorFlow"]),
    ("model.safetensors", [], ["there is no"]),
    ("tokenizer.json", ["vocab.txt"], ["vocab.txt", "AutoTokenizer"]),
    ("tokenizer.json", ["sentencepiece.bpe.model"], ["SentencePiece"]),
    ("tokenizer.json", ["vocab.json", "merges.txt"], ["byte-pair"]),
    ("tokenizer.json", [], ["there is no"]),
], ids=str)
def test_a_folder_that_lacks_a_file_says_what_it_has(dipper, write_folder, gone, there, says):
    folder = write_folder({"files": {}})
    (folder / gone).unlink()
    for name in there:
        (folder / name).touch()
    with pytest.raises(FileNotFoundError) as caught:
        dipper.Embedder(folder)
    for word in [gone, *says]:
        assert word in str(caught.value)


def test_models_have_the_names_of_the_hub(dipper, write_folder, tmp_path, monkeypatch):
    folder = write_folder({"files": {}}, "plain")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("models--acme--tiny", "models--sentence-transformers--small"):
        shutil.copytree(folder, tmp_path / "hub" / name / "snapshots" / "1b2c3d4e5f")
    (tmp_path / "link").symlink_to(tmp_path / "hub/models--acme--tiny/snapshots/1b2c3d4e5f")
    for path, name in (("plain", "plain"), ("plain/", "plain"), ("plain/1_Pooling/..", "plain"), ("link", "link"),
                       ("hub/models--acme--tiny/snapshots/1b2c3d4e5f", "acme/tiny"),
                       ("hub/models--acme--tiny/snapshots/1b2c3d4e5f/.", "acme/tiny"),
                       ("hub/models--sentence-transformers--small/snapshots/1b2c3d4e5f", "small")):
        assert dipper.Embedder(f"{tmp_path}/{path}").name == name, path
    for path, name in (("acme/tiny", "acme/tiny"), ("small", "small"), ("sentence-transformers/small", "small")):
        assert dipper.Embedder(path).name == name
    monkeypatch.chdir(folder)
    assert dipper.Embedder(".").name == "plain"
