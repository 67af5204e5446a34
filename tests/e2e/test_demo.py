"""scripts/demo: with packages from a stand-in for apt-cache, and with Cranfield."""
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from program import clean_environment, files_below

APT_CACHE = f"""#!{sys.executable}
import sys
PACKAGES = {{
    "ncdu": ("ncurses disk usage viewer", "admin::monitoring, interface::text-mode"),
    "rsync": ("fast, versatile, remote (and local) file-copying tool", "network::client, works-with::file"),
    "unison": ("file-synchronization tool for Unix and Windows", "use::synchronizing"),
    "stellarium": ("real-time photo-realistic sky generator", "field::astronomy, game"),
    "chessx": ("chess database and game interface", "game::board:chess"),
    "hello": ("example package based on GNU hello", ""),
}}
if sys.argv[1:] == ["dumpavail"]:
    for name, (summary, tags) in PACKAGES.items():
        print(f"Package: {{name}}\\nVersion: 1\\nSize: 1234\\nSection: utils\\nHomepage: https://example.org/{{name}}\\n"
              f"Tag: {{tags}}\\nDescription: {{summary}}\\n More lines, which\\n are not the summary.\\n")
elif sys.argv[1] == "search":
    for name, (summary, _) in PACKAGES.items():
        if all(word in name + summary for word in sys.argv[2:]):
            print(name, "-", summary)
"""


@pytest.fixture
def demo(source, dipper, tmp_path):
    """demo("--once", …): the finished process; demo.start: a Popen."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apt-cache").write_text(APT_CACHE)
    (tools / "apt-cache").chmod(0o755)

    def environment():
        return clean_environment(DIPPER=dipper, PATH=f"{tools}:{os.environ['PATH']}")

    def go(*arguments):
        return subprocess.run([sys.executable, source / "scripts" / "demo", "--root", tmp_path / "bucket", *arguments],
                              cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=200, check=False)

    def start(*arguments):
        return subprocess.Popen([sys.executable, source / "scripts" / "demo", "--root", tmp_path / "bucket", *arguments],
                                cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                start_new_session=True)

    go.start = start
    return go


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_the_demo_of_packages_answers_judged_questions_beside_apt_cache(demo, tmp_path):
    done = demo("--once")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Indexing 6 rows \(packages\)", done.stdout, re.M)
    assert re.search(r"tokens a row", done.stdout)  # the mean in the summary of `dipper index`
    ours, theirs = map(int, re.search(r"hit@10: Dipper (\d+)/20 \(by meaning alone \d+, by words alone \d+\), "
                                     r"plain apt-cache search (\d+)/20", done.stdout).groups())
    assert ours >= 3  # there are only six rows, so each answer has all of them
    table = re.findall(r"^  (\S.*?) +(hit|-) +(?:hit|-) +(?:hit|-) +(hit|-) +(\d+) +(\d+) +(\d+) +(\d+\.\d)$", done.stdout, re.M)
    assert len(table) == 20 and sum(row[1] == "hit" for row in table) == ours and sum(row[2] == "hit" for row in table) == theirs
    assert all(1 <= int(row[3]) <= 4 for row in table)
    assert re.search(r"“find out what fills the disk” \(score\)\n +✓ 0\.\d{5}  ncdu +ncurses disk usage viewer", done.stdout), done.stdout
    again = demo("--once", "--limit", "2")  # the demo replaces the earlier rows
    assert "the namespace now has 2 rows" in again.stdout


def test_the_demo_of_a_part_has_the_answers_to_its_questions(load_script):
    sample = load_script("demo").sample
    rows = [{"id": number} for number in range(1000)]
    questions = [("a", {999, 998}), ("b", {500}), ("c", {2000})]
    assert [row["id"] for row in sample(rows, questions, 2)] == [500, 998]
    assert [row["id"] for row in sample(rows, questions, 3)] == [500, 998, 999]
    some = [row["id"] for row in sample(rows, questions, 13)]
    assert len(some) == 13 and some == sorted(some) and {500, 998, 999} <= set(some)
    assert max(b - a for a, b in zip(some, some[1:])) <= 101  # the other rows are spread evenly
    assert sample(iter(rows), questions, 0) == sample(rows, questions, 1000) == rows


def test_the_demo_of_cranfield(demo):
    done = demo("--once", "--corpus", "cranfield", "--limit", "60")
    assert done.returncode == 0, done.stderr
    assert "Indexing 60 rows (cranfield)" in done.stdout
    hits = int(re.search(r"hit@10: Dipper (\d+)/20 \(by meaning alone \d+, by words alone \d+\)$", done.stdout, re.M).group(1))
    assert hits >= 5


def test_the_demo_serves_until_ctrl_c(demo, tmp_path):
    port = free_port()
    process = demo.start("--listen", f"127.0.0.1:{port}", "--limit", "3")
    try:
        said = ""
        while "Serving on" not in said or f"http://127.0.0.1:{port}\n" not in said:
            line = process.stdout.readline()
            assert line, said + process.stderr.read()
            said += line
        assert f"Serving on http://127.0.0.1:{port}/" in said
        for path in ("/health", "/", "/v1/namespaces"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                assert answer.status == 200
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
        assert process.wait(60) == 0
    finally:
        end(process)
    assert any(name.endswith("manifest.json") for name in files_below(tmp_path / "bucket"))
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def end(process):
    """Kills the process group that a failed test has left."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_the_demo_interrupted_ends_quietly(demo, tmp_path):
    process = demo.start("--once", "--corpus", "cranfield")
    try:
        assert process.stdout.readline().startswith("Indexing")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) in (1, 130)
        assert "Traceback" not in process.stderr.read()
    finally:
        end(process)
    assert not [name for name in files_below(tmp_path / "bucket") if name.endswith("manifest.json")]


def test_the_demo_sees_at_once_that_its_port_is_taken(demo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = demo("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 1 and "cannot serve on" in done.stderr and done.stdout == ""


def test_the_demo_without_a_program_says_so(source, tmp_path):
    done = subprocess.run([sys.executable, source / "scripts" / "demo", "--once"], env=clean_environment(DIPPER=tmp_path / "none"),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "run make" in done.stderr
