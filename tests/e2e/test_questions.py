"""examples/questions: FAISS and Dipper give the same answers to the same questions, wherever the file lies."""
import json
import re
import subprocess
import sys

import pytest

from program import clean_environment

JOB, LUNCH, TENNIS = "How to find a job", "What to eat for lunch", "Which sport is similar to tennis"


@pytest.fixture(scope="module")
def example(source):
    return source / "examples" / "questions"


@pytest.fixture(scope="module")
def package(build):
    subprocess.run(["ninja", "-C", str(build), "python-package"], check=True, stdout=subprocess.DEVNULL)
    return build / "python"


@pytest.fixture(scope="module")
def minio(source, tmp_path_factory):
    """Starts a MinIO and gives the settings for it."""
    folder = tmp_path_factory.mktemp("peers")
    script = [sys.executable, source / "scripts" / "peers"]
    done = subprocess.run([*script, "start", folder, "minio"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    try:
        peer = json.loads(done.stdout)["minio"]
        yield {"S3_ENDPOINT_URL": peer["endpoint"], "AWS_ACCESS_KEY_ID": peer["access_key_id"],
               "AWS_SECRET_ACCESS_KEY": peer["secret_access_key"]}
    finally:
        subprocess.run([*script, "stop", folder], check=True)


def answers(said):
    """Returns {question: the texts below it}."""
    found, asked = {}, None
    for line in said.splitlines():
        if line in (JOB, LUNCH, TENNIS):
            asked = line
            found[asked] = []
        elif asked and re.match(r"  +-?\d\.\d{4}", line):
            found[asked].append(re.sub(r"^[ \d.-]+", "", line))
    return found


def make_sense(found):
    return (all("job" in text for text in found[JOB][:3]) and "lunch" in found[LUNCH][0]
            and all("tennis" in text for text in found[TENNIS][:3]) and all(len(texts) == 5 for texts in found.values()))


@pytest.mark.tree
def test_the_questions_are_always_the_same_and_each_is_there_once(example):
    run = [sys.executable, example / "questions.py"]
    lines = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    assert 2000 < len(lines) == len(set(lines)) < 10000
    assert all(re.fullmatch(r"[A-Z][^{}]+\?", line) for line in lines)
    assert lines == subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.tree
def test_own_questions_are_read(example, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(example))
    from questions import own
    (tmp_path / "a.txt").write_text("One?\n\nTwo?\nOne?\n")
    assert own(tmp_path / "a.txt") == ["One?", "Two?"]
    (tmp_path / "a.tsv").write_text("id\tquestion1\tquestion2\tis_duplicate\n0\tOne?\tTwo?\t0\n1\t\"Two?\"\tThree  four?\t0\n")
    assert own(tmp_path / "a.tsv") == ["One?", "Two?", "Three four?"]
    assert own(tmp_path / "a.tsv", 2) == ["One?", "Two?"]
    (tmp_path / "a.csv").write_text("n,words\n1,x\n")
    with pytest.raises(ValueError, match="no column"):
        own(tmp_path / "a.csv")


@pytest.mark.peer
def test_faiss_and_dipper_give_equal_answers(example, package, minio):
    done = subprocess.run([sys.executable, example / "ask.py", "--bucket", "questions"], capture_output=True, text=True,
                          env={**clean_environment(**minio), "PYTHONPATH": str(package)}, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert make_sense(answers(done.stdout)), done.stdout
    assert done.stdout.rstrip().endswith("the same answers")
    everything = int(re.search(r"FAISS  read ([\d,]+) bytes, all", done.stdout).group(1).replace(",", ""))
    for name in ("on disk", "over S3", "presigned"):
        read = re.search(name + r"  read ([\d,]+) bytes to open \(rounds: (\d+)\), ([\d,]+) for 3 questions "
                         r"\(ranges: (\d+), rounds: 3\)", done.stdout)
        opening, rounds, searching, ranges = (int(n.replace(",", "")) for n in read.groups())
        assert rounds <= 2 and 0 < ranges <= 24 and opening + searching / 3 < everything / 2, done.stdout
    assert minio["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr


@pytest.mark.peer
def test_the_notebook_runs(example, package, minio):
    notebook = json.loads((example / "questions.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4 and all(cell["outputs"] == [] for cell in notebook["cells"] if "outputs" in cell)
    code = "\n\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, cwd=example, timeout=280,
                          env={**clean_environment(**minio), "QUESTIONS_BUCKET": "notebook", "PYTHONPATH": str(package),
                               "PYTHONDONTWRITEBYTECODE": "1"}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert make_sense(answers(done.stdout)) and done.stdout.rstrip().endswith("the same answers"), done.stdout
    assert "presigned  read" in done.stdout
