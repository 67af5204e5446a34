"""`dipper model info|list|check`: facts about models, their engines, comparing an engine with fp32. test_model_link.py
tests `pack`."""
import json
import os
import shutil

import pytest

from program import json_lines

TEXTS = "cat\ndog sail\n\nThe river flows; boats sail.\nstar of the sea\nsalt pepper salt pepper\n"


@pytest.fixture(scope="session")
def tiny(test_data):
    return test_data / "onnx" / "tiny"


@pytest.fixture(scope="session")
def minilm(source):
    return source / "models" / "all-MiniLM-L6-v2"


@pytest.fixture(scope="session")
def library(source):
    path = source / "build" / "onnxruntime" / "lib" / "libonnxruntime.so"
    if not path.exists():
        pytest.skip("ONNX Runtime's library is not in build/onnxruntime")
    return path


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts"
    path.write_text(TEXTS, encoding="utf-8")
    return path


def answer(done):
    (only,) = json_lines(done.stdout)
    return only


# ---- info ----

def test_model_info_shows_the_model_in_use(run, tiny):
    told = answer(run("model", "info", "--json"))
    fingerprint = told.pop("fingerprint")
    assert len(fingerprint) == 64
    assert told == {"name": "all-MiniLM-L6-v2", "engine": "native int8", "pooling": "mean", "normalized": True,
                    "dimensions": 384, "max_tokens": 256, "prompts": {"default": "", "query": "", "document": ""}}
    shown = run("model", "info").stdout
    assert fingerprint in shown and "mean, normalised" in shown
    other = answer(run("model", "info", "--model", tiny, "--json"))
    assert (other["name"], other["dimensions"], other["max_tokens"]) == ("tiny", 16, 24)
    assert other["fingerprint"] != fingerprint


# ---- list ----

def by_source(done):
    found = {}
    for model in answer(done)["models"]:
        found.setdefault(model["source"], []).append(model)
    return found


def engines(model):
    return [engine["name"] for engine in model["engines"]]


def test_model_list_finds_every_model(run, tiny, minilm, tmp_path):
    hub, folder = tmp_path / "hub", tmp_path / "some"
    snapshot = hub / "models--nobody--tiny-bert" / "snapshots" / "0123"
    shutil.copytree(tiny, snapshot)
    (hub / "models--nobody--not-fetched" / "snapshots").mkdir(parents=True)
    (hub / "datasets--nobody--words").mkdir()
    shutil.copytree(tiny, folder / "both")
    shutil.copytree(tiny, folder / "only-onnx")
    (folder / "only-onnx" / "model.safetensors").unlink()
    shutil.copytree(tiny, folder / "neither")
    (folder / "neither" / "config.json").write_text('{"model_type": "t5"}', encoding="utf-8")
    shutil.rmtree(folder / "neither" / "onnx")
    (folder / "no-model").mkdir()
    found = by_source(run("model", "list", folder, "--json", "--model", minilm, env={"HF_HUB_CACHE": hub}))

    assert sorted(found) == ["folder", "hub cache", "in the program", "of the settings"]
    (linked,), (settings,), (cached,) = found["in the program"], found["of the settings"], found["hub cache"]
    assert linked["name"] == settings["name"] == "all-MiniLM-L6-v2"
    assert linked["path"] is None and settings["path"] == str(minilm)
    for model in (linked, settings):
        assert (model["dimensions"], model["max_tokens"]) == (384, 256) and "native" in engines(model)
    assert cached["name"] == "nobody/tiny-bert" and cached["path"] == str(snapshot)

    both, neither, only = found["folder"]
    assert [m["name"] for m in (both, neither, only)] == ["both", "neither", "only-onnx"]
    assert engines(both) == engines(cached) == ["native", "onnx"]
    assert "onnx/model.onnx" in both["engines"][1]["files"] and "onnx/model_int8.onnx" in both["engines"][1]["files"]
    assert (both["dimensions"], both["max_tokens"]) == (16, 24)
    assert engines(only) == ["onnx"] and "model.safetensors" in only["native_problem"]
    assert engines(neither) == [] and "t5" in neither["native_problem"] and "model.onnx" in neither["onnx_problem"]

    built = answer(run("model", "list", "--json"))["onnx_built"]
    shown = run("model", "list", folder, env={"HF_HUB_CACHE": hub}).stdout
    assert built is ("This build has no onnx engine" not in shown)
    assert "native, onnx (onnx/bad" in shown and "engines     none" in shown and "t5" in shown
    assert shown.count("max tokens") == 4  # one model's limit is unknown


def test_model_list_looks_into_models_by_default(run, tiny, tmp_path):
    cwd = tmp_path / "cwd"
    assert "folder" not in by_source(run("model", "list", "--json", env={"HF_HUB_CACHE": tmp_path / "none"}))
    shutil.copytree(tiny, cwd / "models" / "mine")
    (mine,) = by_source(run("model", "list", "--json", env={"HF_HUB_CACHE": tmp_path / "none"}))["folder"]
    assert mine["name"] == "mine" and mine["path"] == "models/mine"


def test_model_list_of_a_packed_model(run, tiny, tmp_path):
    packed = tmp_path / "tiny.dipper"
    run("model", "pack", tiny, packed)
    (model,) = by_source(run("model", "list", "--json", "--model", packed))["of the settings"]
    assert engines(model) == ["native"] and model["dimensions"] == 16


def test_model_list_of_nothing_says_where_it_looked(run, build, tmp_path):
    done = run("model", "list", program=build / "dipper-bare", env={"HF_HUB_CACHE": tmp_path / "none"})
    assert done.stdout == "" and "./models" in done.stderr and str(tmp_path / "none") in done.stderr


def test_model_list_of_a_missing_folder_fails(run, tmp_path):
    assert "nowhere" in run("model", "list", tmp_path / "nowhere", status=1).stderr
    assert "nowhere" in run("model", "list", "--model", tmp_path / "nowhere", status=1).stderr


# ---- check ----

def test_model_check_prints_the_distribution(run, tiny, texts):
    told = answer(run("model", "check", texts, "--model", tiny, "--json"))
    assert told["checked"]["engine"] == "native int8" and told["reference"]["engine"] == "native fp32"
    assert (told["texts"], told["truncated"]) == (5, 0) and told["tokens"] > 20
    c = told["cosine"]
    assert 0.99 < c["min"] <= c["p1"] <= c["p5"] <= c["p50"] <= c["max"] <= 1.000001 and c["min"] <= c["mean"] <= c["max"]
    worst = told["worst"]
    assert worst["cosine"] == c["min"] and TEXTS.split("\n")[worst["line"] - 1] == worst["text"]
    shown = run("model", "check", texts, "--model", tiny).stdout
    assert f"{c['min']:.7f}" in shown and f"worst: line {worst['line']}, \"{worst['text']}\"" in shown


def test_model_check_reads_standard_input_and_the_limit(run, tiny):
    told = answer(run("model", "check", "-", "--model", tiny, "--json", "--max-tokens", 5, input=TEXTS))
    assert told["texts"] == 5 and told["truncated"] == 3


def test_model_check_of_an_onnx_file(run, tiny, library, texts):
    if "this build has no" in run("model", "info", "--model", tiny, "--engine", "onnx", status=None).stderr:
        pytest.skip("this build has no ONNX Runtime engine")
    onnx = ["--model", tiny, "--engine", "onnx", "--onnxruntime-library", library]
    told = answer(run("model", "check", texts, *onnx, "--least", "0.999999", "--json"))
    assert told["checked"]["engine"].startswith("onnx/model.onnx by ONNX Runtime")
    assert told["reference"]["engine"] == "native fp32"
    done = run("model", "check", texts, *onnx, "--onnx-file", "int8", "--least", "0.99999", status=1)
    assert "below 0.99999" in done.stderr and "cosine" in done.stdout


def test_model_check_against_another_folder(run, tiny, minilm, texts, tmp_path):
    assert answer(run("model", "check", texts, "--against", minilm, "--least", "0.997", "--json"))["texts"] == 5
    done = run("model", "check", texts, "--model", tiny, "--against", minilm, status=1)
    assert "16" in done.stderr and "384" in done.stderr
    assert "--against DIR" in run("model", "check", texts, status=1).stderr
    packed = tmp_path / "tiny.dipper"
    run("model", "pack", tiny, packed)
    done = run("model", "check", texts, "--model", packed, status=1)
    assert "--against DIR" in done.stderr and "int8 weights only" in done.stderr
    assert answer(run("model", "check", texts, "--model", packed, "--against", tiny, "--json"))["texts"] == 5
    assert "nowhere" in run("model", "check", texts, "--model", tiny, "--against", tmp_path / "nowhere", status=1).stderr


def test_model_check_shows_no_control_characters(run, tiny, tmp_path):
    file = tmp_path / "texts"
    file.write_bytes(b"\x1b[31mred\xff\xfe " + b"long " * 100 + b"\n")
    shown = run("model", "check", file, "--model", tiny).stdout
    assert "\x1b" not in shown and "red" in shown and "…" in shown


@pytest.mark.parametrize("content, says", [(b"", "no text"), (b"\n\r\n\n", "no text"), (b"x" * (5 << 20), "line 1")])
def test_model_check_of_nothing_or_too_much_fails(run, tiny, tmp_path, content, says):
    file = tmp_path / "texts"
    file.write_bytes(content)
    assert says in run("model", "check", file, "--model", tiny, status=1).stderr
    assert "none" in run("model", "check", tmp_path / "none", "--model", tiny, status=1).stderr


@pytest.mark.parametrize("arguments", [["check"], ["check", "a", "b"], ["list", "a", "b"], ["info", "x"], ["pack", "a"], [],
                                       ["check", "a", "--least", "2"], ["check", "a", "--least", "x"]])
def test_model_usage(run, arguments):
    assert "usage: dipper model" in run("model", *arguments, status=2).stderr


def test_model_check_ends_at_a_signal(start, tiny):
    process = start("model", "check", "-", "--model", str(tiny))
    process.stdin.write(b"cat\n" * 1000)
    process.stdin.flush()
    os.kill(process.pid, 15)
    assert process.wait(60) == -15
    assert json.dumps(process.stdout.read().decode()) == '""'
