"""`dipper bench`: the output is well formed and the figures are positive. No test checks how large they are."""
import json
import re

import pytest


def positive(table, *keys):
    return all(isinstance(table[key], (int, float)) and table[key] > 0 for key in keys)


@pytest.fixture(scope="module")
def model(source):
    return source / "models" / "all-MiniLM-L6-v2"


def test_peak_names_the_instruction_sets(run):
    peak = json.loads(run("bench", "peak", "--seconds", 1, "--threads", 2, "--json").stdout)
    assert peak["threads"] == 2
    assert peak["sets"][0]["name"] == "scalar"
    assert sum(s["used"] for s in peak["sets"]) == 1
    for s in peak["sets"]:
        assert positive(s, "int8_gops_1_thread", "int8_gops", "fp32_gflops_1_thread", "fp32_gflops")
    assert len(peak["reading"]) == 4
    for r in peak["reading"]:
        assert positive(r, "bytes", "gb_s_1_thread", "gb_s")


def test_peak_marks_the_set_in_use(run):
    shown = run("bench", "peak", "--seconds", 1, env={"DIPPER_SIMD": "scalar"}).stdout
    assert re.findall(r"^(\w+) +\*", shown, re.M) == ["scalar"]
    assert re.search(r"^ +24( +\d+\.\d){2}$", shown, re.M), shown


def check_cases(cases, batches):
    assert sorted({c["batch"] for c in cases}) == batches
    for c in cases:
        assert positive(c, "tokens", "runs", "least_ms", "p50_ms", "p90_ms", "p99_ms", "texts_s", "tokens_s", "tokens_cpu_s", "of_peak", "of_floor")
        assert c["least_ms"] <= c["p50_ms"] <= c["p90_ms"] <= c["p99_ms"]
        assert c["of_peak"] < c["of_floor"]


def test_embed_measures_each_length_and_batch(run):
    done = json.loads(run("bench", "embed", "--seconds", 1, "--threads", 1, "--batch", 1, "--json").stdout)
    assert (done["model"], done["engine"], done["threads"]) == ("all-MiniLM-L6-v2", "native int8", 1)
    assert positive(done, "peak_int8_gops", "peak_fp32_gflops")
    assert [c["tokens"] for c in done["cases"]] == [12, 23, 64, 128, 176, 256]
    check_cases(done["cases"], [1])
    done = json.loads(run("bench", "embed", "--seconds", 1, "--tokens", 12, "--json").stdout)
    check_cases(done["cases"], [1, 8, 32])


def test_embed_in_fp32(run, model):
    done = json.loads(run("bench", "embed", "--seconds", 1, "--tokens", 12, "--batch", 2, "--precision", "fp32",
                          "--model", model, "--json").stdout)
    assert done["engine"] == "native fp32"
    check_cases(done["cases"], [2])
    refused = run("bench", "embed", "--precision", "fp32", status=1).stderr
    assert "int8 weights only: pass its folder, --model DIR" in refused


def test_embed_takes_the_texts_of_a_file(run, tmp_path):
    (tmp_path / "texts").write_text("a short one\n\nand another that is longer\n", encoding="utf-8")
    done = json.loads(run("bench", "embed", "--seconds", 1, "--file", tmp_path / "texts", "--batch", 2, "--json").stdout)
    (case,) = done["cases"]
    assert case["tokens"] == (5 + 7) / 2  # the empty line does not count
    assert positive(case, "tokenizing_mb_s", "tokenizing_share")
    shown = run("bench", "embed", "--seconds", 1, "--file", "-", "--batch", 1, input="a short one\n").stdout
    assert re.search(r"^ +5\.0 +1( +[\d.]+){10}", shown.replace("%", ""), re.M), shown


def test_bench_refuses_what_it_cannot_measure(run, tmp_path):
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    assert "holds no text" in run("bench", "embed", "--file", tmp_path / "empty", status=1).stderr
    assert "nowhere" in run("bench", "embed", "--file", tmp_path / "nowhere", status=1).stderr
    assert "--tokens must be 3 to 256" in run("bench", "embed", "--tokens", 257, status=1).stderr
    assert "--precision is 'int4'" in run("bench", "embed", "--precision", "int4", status=2).stderr
    assert "--onnx-file" in run("bench", "embed", "--precision", "int8", "--engine", "onnx", status=2).stderr
    for arguments, said in (([], "say what to do"), (["weather"], 'there is no "weather"')):
        complaint = run("bench", *arguments, status=2).stderr
        assert said in complaint and "dipper bench embed" in complaint and "dipper bench peak" in complaint
