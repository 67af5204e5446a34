"""`--engine onnx`: every command with the ONNX file of a model folder, which ONNX Runtime runs; damaged files.

Most tests need the library in build/onnxruntime (scripts/setup --with-onnxruntime) and a build with the engine. Without
these they are skipped, and other tests check the program's error.
"""
import concurrent.futures
import json
import math
import pathlib
import random
import shutil
import subprocess
import urllib.request

import pytest

from program import clean_environment, json_lines
from serving import serving

QUESTION = "the river flows\n"


@pytest.fixture(scope="session")
def library(source):
    path = source / "build" / "onnxruntime" / "lib" / "libonnxruntime.so"
    if not path.exists():
        pytest.skip("ONNX Runtime's library is not in build/onnxruntime")
    return path


@pytest.fixture(scope="session")
def tiny(test_data):
    return test_data / "onnx" / "tiny"


@pytest.fixture(scope="session")
def has_engine(dipper, tiny):
    """Returns whether the build has the engine."""
    done = subprocess.run([str(dipper), "embed", "--model", str(tiny), "--engine", "onnx"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, env=clean_environment(), check=False)
    return "this build has no ONNX Runtime engine" not in done.stderr


@pytest.fixture
def onnx(run, library, has_engine):
    """onnx("embed", …): runs the program with the engine and its library."""
    if not has_engine:
        pytest.skip("this build has no ONNX Runtime engine")

    def go(*arguments, **kwargs):
        return run(*arguments, "--engine", "onnx", "--onnxruntime-library", library, **kwargs)

    return go


@pytest.fixture
def copy(tiny, tmp_path):
    """copy("name"): makes a copy of the tiny model that a test may change."""
    def make(name):
        return pathlib.Path(shutil.copytree(tiny, tmp_path / name))

    return make


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b)


def test_onnx_embeds_as_numpy(onnx, tiny, test_data):
    expected = json.loads((test_data / "onnx" / "expected.json").read_text(encoding="utf-8"))
    done = onnx("embed", "--model", tiny, input="".join(e["text"] + "\n" for e in expected))
    answers = json_lines(done.stdout)
    assert len(answers) == len(expected) == 8
    for answer, wanted in zip(answers, expected):
        assert answer["tokens"] == len(wanted["ids"])
        assert cosine(answer["embedding"], wanted["vectors"]["mean"]) > 0.999999
    assert done.stderr == ""


def test_onnx_is_set_by_environment_and_file_too(run, onnx, library, tiny, tmp_path):
    wanted = onnx("embed", "--model", tiny, "--onnx-file", "int8", input=QUESTION).stdout
    env = {"DIPPER_ENGINE": "onnx", "DIPPER_ONNX_FILE": "model_int8.onnx", "DIPPER_ONNXRUNTIME_LIBRARY": library,
           "DIPPER_MODEL_PATH": tiny}
    assert run("embed", input=QUESTION, env=env).stdout == wanted
    settings = tmp_path / "dipper.toml"
    settings.write_text(f'[model]\nengine = "onnx"\npath = "{tiny}"\nonnx_file = "int8"\nonnxruntime_library = "{library}"\n',
                        encoding="utf-8")
    assert run("embed", "--config", settings, input=QUESTION).stdout == wanted
    assert wanted != onnx("embed", "--model", tiny, input=QUESTION).stdout


def test_onnx_prints_equal_bytes_on_any_threads_and_beside_any_texts(onnx, tiny):
    texts = ["cat", "dog sail", "a cat, a dog and a boat on the river", "wind"] * 50
    for file in ("model.onnx", "int8"):
        alone = [onnx("embed", "--model", tiny, "--onnx-file", file, input=t + "\n").stdout for t in texts[:4]]
        for threads in (1, 2, 4):
            many = onnx("embed", "--model", tiny, "--onnx-file", file, "--threads", threads,
                        input="".join(t + "\n" for t in texts)).stdout
            assert many == "".join(alone) * 50


def test_onnx_batches_if_configured(onnx, tiny):
    text = "cat\ndog sail\na cat, a dog and a boat on the river\n"
    one, batch = (json_lines(onnx("embed", "--model", tiny, "--onnx-batch", n, input=text).stdout) for n in (1, 8))
    assert all(cosine(a["embedding"], b["embedding"]) > 0.999999 for a, b in zip(one, batch))
    assert onnx("embed", "--model", tiny, "--onnx-batch", 65, status=2).stderr.count("65") == 1


def test_onnx_sends_no_telemetry(onnx, tiny, tmp_path):
    """If the library sent telemetry to its maker, it would keep a database of it below the home folder."""
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": home, "XDG_CACHE_HOME": home / "cache", "ORT_DISABLE_TELEMETRY": "0"}
    onnx("embed", "--model", tiny, input=QUESTION, env=env)
    assert list(home.rglob("*")) == []


def test_onnx_is_recommended_where_it_can_help(run, copy):
    folder = copy("no-weights")
    (folder / "model.safetensors").unlink()
    done = run("embed", "--model", folder, input=QUESTION, status=1)
    assert "--engine onnx" in done.stderr and "model.safetensors" in done.stderr
    (folder / "config.json").write_text('{"model_type": "new"}', encoding="utf-8")
    done = run("embed", "--model", folder, input=QUESTION, status=1)
    assert "--engine onnx" in done.stderr and '"new"' in done.stderr
    shutil.rmtree(folder / "onnx")
    assert "--engine onnx" not in run("embed", "--model", folder, input=QUESTION, status=1).stderr


def test_onnx_namespaces_are_not_mixed_with_native_ones(onnx, run, tiny, rows, tmp_path):
    file = rows({"id": 1, "text": "cat"}, {"id": 2, "text": "river boat"}, {"id": 3, "text": "salt and pepper"})
    root = tmp_path / "bucket"
    onnx("index", "words", file, "--model", tiny, "--root", root)
    (answer,) = json_lines(onnx("search", "words", "river boat", "--model", tiny, "--root", root, "--rank", "meaning", "--json").stdout)
    assert answer["rows"][0]["id"] == 2 and answer["rows"][0]["$dist"] < 1e-5
    for program, more in ((run, []), (onnx, ["--onnx-file", "int8"])):
        more = [*more, "--model", tiny, "--root", root]
        asked = program("search", "words", "cat", *more, status=1)
        assert "another" in asked.stderr and "fingerprint" in asked.stderr
        assert "cannot be compared" in program("index", "words", file, *more, status=1).stderr


def test_onnx_serves_many_clients_the_same_bytes(onnx, dipper, library, tiny, tmp_path):
    texts = ["cat", "dog sail", "a cat, a dog and a boat on the river", "star of the sea"]
    wanted = [json.loads(line)["embedding"] for line in
              onnx("embed", "--model", tiny, "--onnx-file", "int8", input="".join(t + "\n" for t in texts)).stdout.splitlines()]

    def ask(url, i):
        body = json.dumps({"model": "tiny", "input": texts[i % 4]}).encode()
        request = urllib.request.Request(url + "/v1/embeddings", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["data"][0]["embedding"] == wanted[i % 4]

    with serving(dipper, tmp_path / "bucket", "--model", tiny, "--engine", "onnx", "--onnx-file", "int8", "--threads", "3",
                 "--onnxruntime-library", library) as url:
        with concurrent.futures.ThreadPoolExecutor(16) as clients:
            assert all(clients.map(lambda i: ask(url, i), range(200)))


def test_onnx_without_the_library_says_how_to_get_it(run, tiny, has_engine, tmp_path):
    done = run("embed", "--model", tiny, "--engine", "onnx", "--onnxruntime-library", tmp_path / "none.so", input="x\n",
               status=1)
    assert ("none.so" if has_engine else "scripts/setup --with-onnxruntime") in done.stderr


def test_onnx_needs_a_folder(onnx, tiny):
    assert "--model DIR" in onnx("embed", input="x\n", status=1).stderr
    assert "no model folder" in onnx("embed", "--model", tiny / "onnx" / "model.onnx", input="x\n", status=1).stderr


def test_onnx_unknown_engine_is_refused(run):
    assert "native" in run("embed", "--engine", "torch", input="x\n", status=2).stderr


@pytest.mark.parametrize("file, says", [
    ("bad_input_name.onnx", "position_ids"), ("bad_no_ids.onnx", "no input_ids"), ("bad_input_type.onnx", "float"),
    ("bad_input_rank.onnx", "of 1 dimensions"), ("bad_fixed_tokens.onnx", "exactly 8 tokens"),
    ("bad_fixed_texts.onnx", "3 texts"), ("bad_output_type.onnx", "float16"), ("bad_outputs.onnx", "no usable output"),
    ("bad_shape.onnx", "(2, 1, 16)"), ("bad_small_table.onnx", "out of data bounds"),
    ("bad_not_finite.onnx", "not finite"), ("none.onnx", "none.onnx"),
])
def test_onnx_graph_that_does_not_fit_is_refused_in_a_sentence(onnx, tiny, file, says):
    done = onnx("embed", "--model", tiny, "--onnx-file", file, input=QUESTION, status=1)
    assert says in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


# ---- damage: in a separate process, because a bug of the library may crash it ----

def embed_damaged(onnx, folder, damaged):
    """Embeds with a damaged graph. Checks that the program answers or prints one line of error, and never crashes."""
    (folder / "onnx" / "model.onnx").write_bytes(damaged)
    done = onnx("embed", "--model", folder, input=QUESTION, status=None)
    assert done.returncode in (0, 1), f"exit status {done.returncode}: {done.stderr}"
    if done.returncode == 1:
        assert done.stdout == "" and len(done.stderr.splitlines()) == 1, done.stderr
        done.stderr.encode("utf-8")  # the message shows no raw bytes of the file
    return done


def test_onnx_truncated_file_is_an_error_at_any_length(onnx, tiny, copy):
    folder, whole = copy("cut"), (tiny / "onnx" / "model.onnx").read_bytes()
    lengths = [0, 1, 2, 7, 100, len(whole) - 1, len(whole) - 2, len(whole) // 2]
    lengths += random.Random(1).sample(range(len(whole)), 40)
    for length in lengths:
        done = embed_damaged(onnx, folder, whole[:length])
        assert done.returncode == 1 and "model.onnx" in done.stderr, length


def test_onnx_flipped_bits_crash_nothing(onnx, tiny, copy):
    folder, whole = copy("flipped"), (tiny / "onnx" / "model.onnx").read_bytes()
    generator, refused = random.Random(2), 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(generator.choice([1, 1, 3, 10])):
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        refused += embed_damaged(onnx, folder, bytes(damaged)).returncode
    assert refused > 0


def test_onnx_bytes_that_are_no_graph_are_refused(onnx, copy):
    folder = copy("other")
    for damaged in (b"\0" * 1000, b"hello, world\n", bytes(range(256)) * 40, (folder / "model.safetensors").read_bytes()):
        done = embed_damaged(onnx, folder, damaged)
        assert done.returncode == 1 and "model.onnx" in done.stderr


def test_onnx_huge_file_is_refused_before_it_is_read(onnx, copy):
    folder = copy("huge")
    with open(folder / "onnx" / "model.onnx", "wb") as file:
        file.truncate(5 << 30)  # a hole takes no disk
    done = onnx("embed", "--model", folder, input=QUESTION, status=1)
    assert "2 GiB" in done.stderr and str(5 << 30) in done.stderr


def test_onnx_weights_outside_the_file_may_be_missing_or_cut(onnx, copy):
    folder = copy("outside")
    weights = folder / "onnx" / "outside.onnx_data"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "outside.onnx" in onnx("embed", "--model", folder, "--onnx-file", "outside.onnx", input=QUESTION, status=1).stderr
    weights.unlink()
    assert "outside.onnx" in onnx("embed", "--model", folder, "--onnx-file", "outside.onnx", input=QUESTION, status=1).stderr
