"""all-MiniLM-L6-v2's own weights through ONNX Runtime against the native engine in fp32, over 425 Cranfield texts.

Needs the packages of bench/requirements-onnx.txt, which scripts/venv --bench installs: `make check-all` only.
"""
import json
import re
import subprocess

import pytest

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def export(source, tmp_path_factory):
    """A model folder with onnx/model.onnx and onnx/model_int8.onnx."""
    subprocess.run([source / "scripts" / "venv", "--bench"], check=True, timeout=280)
    folder = tmp_path_factory.mktemp("onnx") / "all-MiniLM-L6-v2"
    subprocess.run([source / "build" / "bench-venv" / "bin" / "python", source / "bench" / "export_onnx.py",
                    source / "models" / "all-MiniLM-L6-v2", folder], check=True, timeout=280)
    return folder


@pytest.fixture(scope="module")
def texts(source, tmp_path_factory):
    """A file with the 225 questions of Cranfield and its first 200 documents, one on each line."""
    lines = []
    for name in ("cran.qry", "cran.all.1400"):
        field = None
        for line in (source / "tests" / "data" / "cranfield" / name).read_text(encoding="ascii").splitlines():
            if line.startswith(".I"):
                lines.append([])
            elif re.fullmatch(r"\.[TABWX]\s*", line):
                field = line[1]
            elif field == "W":
                lines[-1] += line.split()
    path = tmp_path_factory.mktemp("texts") / "cranfield"
    path.write_text("".join(" ".join(words) + "\n" for words in lines[:425]), encoding="ascii")
    return path


@pytest.mark.parametrize("file, least", [("model.onnx", "0.99999"), ("int8", "0.98")])
def test_onnx_minilm_is_near_the_native_engine(run, source, export, texts, file, least):
    library = source / "build" / "onnxruntime" / "lib" / "libonnxruntime.so"
    if not library.exists():
        pytest.skip("ONNX Runtime's library is not in build/onnxruntime")
    done = run("model", "check", texts, "--model", export, "--engine", "onnx", "--onnx-file", file,
               "--onnxruntime-library", library, "--against", source / "models" / "all-MiniLM-L6-v2",
               "--least", least, "--json")
    told = json.loads(done.stdout)
    print(file, told["cosine"])
    assert told["texts"] == 425
