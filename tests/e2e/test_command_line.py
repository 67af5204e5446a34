"""Help and error messages for users who are new to the program or mistype a command."""
import json
import os
import re
import signal
import socket
import urllib.request

import pytest

pytestmark = pytest.mark.quick

COMMANDS = ["index", "search", "serve", "embed", "faiss", "namespace", "index-worker", "model", "key", "usage", "bench", "doctor", "config"]


def test_help_names_every_command(run):
    help_text = run("--help").stdout
    assert re.findall(r"^  ([\w-]+)  ", help_text, re.M) == COMMANDS
    assert run("help").stdout == run("-h").stdout == help_text
    assert run(status=2).stderr == help_text


@pytest.mark.parametrize("command, verbs", [("faiss", ["info", "search", "build", "calibrate", "attach"]), ("key", ["create", "list", "revoke"]),
                                            ("namespace", ["list", "info", "rm", "verify", "export", "import",
                                                           "branch", "cp", "compact", "gc"]),
                                            ("model", ["info", "list", "check", "pack"]), ("bench", ["embed", "peak"])])
def test_verbs_are_in_the_help_and_in_complaints(run, command, verbs):
    assert re.findall(rf"^  dipper {command} (\w+) .*\n      ", run(command, "--help").stdout, re.M) == verbs
    for arguments, said in (([], "say what to do"), (["frobnicate"], 'there is no "frobnicate"')):
        complaint = run(command, *arguments, status=2).stderr
        assert said in complaint and re.findall(rf" dipper {command} (\w+) ", complaint) == verbs
    everything = run(command, "--help-all").stdout
    for verb in verbs:
        shown = run(command, verb, "--help").stdout
        assert shown.startswith(f"dipper {command} {verb} ") and len(shown.splitlines()) <= 40
        assert run("help", command, verb).stdout == shown
        options = re.findall(r"^  (?:    |-\w, )(--[\w-]+)", shown, re.M)
        assert set(options) <= set(re.findall(r"--[\w-]+", everything))
        # what the verb's usage names it takes
        usage = shown.splitlines()[0]
        assert set(re.findall(r"--[\w-]+", usage)) - {"--root"} <= set(options), usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(run, command):
    shown = run(command, "--help").stdout
    assert shown.startswith(f"dipper {command} ") and "Example:\n  " in shown
    assert len(shown.splitlines()) <= 40 and max(map(len, shown.splitlines())) <= 110
    assert run("help", command).stdout == run(command, "-h").stdout == shown
    # the settings are in --help-all, which has all that --help has
    everything = run(command, "--help-all").stdout
    assert "\nSettings (" in everything and "\nSettings (" not in shown
    assert set(re.findall(r"--[\w-]+", shown)) - {"--help", "--help-all"} <= set(re.findall(r"--[\w-]+", everything))


def test_the_version_has_a_letter(run):
    assert run("-V").stdout == run("--version").stdout == run("version").stdout


def test_unknown_commands_and_misplaced_options(run):
    assert "there is no command 'frobnicate'" in run("frobnicate", status=2).stderr
    assert "the command comes first" in run("--root", "x", "search", "n", "q", status=2).stderr
    assert "there is no option --rot" in run("search", "n", "q", "--rot", "x", status=2).stderr


@pytest.mark.parametrize("arguments, meant", [
    (["serch"], "'search'"), (["indx"], "'index'"), (["key", "lsit"], '"list"'), (["faiss", "serach", "x"], '"search"'),
    (["search", "n", "q", "--quereis", "f"], "--queries"), (["serve", "--lisen=0"], "--listen"), (["search", "n", "q", "--rot", "x"], "--root"),
    (["index", "--help-al"], "--help-all"), (["index", "--hlp"], "--help")])
def test_a_mistyped_name_is_guessed(run, arguments, meant):
    assert f"did you mean {meant}?" in run(*arguments, status=2).stderr


@pytest.mark.parametrize("arguments", [["frobnicate"], ["search", "n", "q", "--frobnicate"], ["key", "frobnicate"], ["search", "n", "q", "-x"]])
def test_a_strange_name_is_not_guessed(run, arguments):
    said = run(*arguments, status=2).stderr
    assert "did you mean" not in said and len(said.splitlines()) < 20


def test_an_option_belongs_to_its_verb(run):
    assert '--nlist belongs to "build", not to "info"' in run("faiss", "info", "x.ivf", "--nlist", "4", status=2).stderr
    assert '"pack" takes DIR OUT' in run("model", "pack", "one", status=2).stderr


def test_search_for_words_without_quotes_says_what_is_missing(run):
    assert "quotes" in run("search", "n", "two", "words", "--root", "x", status=2).stderr


def test_index_of_a_file_that_is_no_json_shows_a_row(run, tmp_path):
    (tmp_path / "rows.csv").write_text("id,text\n1,hello\n", encoding="utf-8")
    done = run("index", "n", tmp_path / "rows.csv", "--root", tmp_path / "bucket", status=1)
    assert 'line 1: expected a JSON object, as {"id": 1, "text": "…"}' in done.stderr


@pytest.mark.parametrize("command", [("index", "n", "-"), ("search", "n", "q"), ("serve", "--port", "0")])
def test_a_root_that_is_a_file_is_refused(run, tmp_path, command):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert f"the root {tmp_path / 'file'} is not a folder" in run(*command, "--root", tmp_path / "file", status=1).stderr


def test_serve_warns_of_a_new_root(start, tmp_path):
    process = start("serve", "--root", tmp_path / "typo", "--port", "0")
    assert process.stdout.readline().startswith(b"http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert b"typo was not there" in process.stderr.read()


def test_serve_on_a_port_in_use_says_so(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--root", tmp_path, "--port", taken.getsockname()[1], status=1)
    assert "choose another port" in done.stderr


# ---- standard streams ---------------------------------------------------------------------------------------

PRINTING = [["--version"], ["--help"], ["config"], ["config", "--json"], ["model", "info"], ["model", "list", "."],
            ["search", "--help"], ["search", "n", "cat", "--root", "bucket"], ["embed"],
            ["index", "n", "rows.jsonl", "--root", "bucket"], ["faiss", "info", "vectors.ivf"],
            ["faiss", "search", "vectors.ivf", "--queries", "vectors.fvecs"], ["faiss", "calibrate", "vectors.ivf", "--queries", "vectors.fvecs"],
            ["faiss", "build", "new.ivf", "--vectors", "vectors.fvecs"],
            ["key", "create", "--email", "a@b"], ["key", "list"], ["usage"]]


@pytest.fixture
def somewhere(run, tmp_path):
    """Makes a folder with a namespace, a FAISS file and accounts. Returns the folder and an environment for `start`."""
    folder = tmp_path / "cwd"
    (folder / "rows.jsonl").write_text('{"id": 1, "text": "cat"}\n', encoding="utf-8")
    vector = (4).to_bytes(4, "little") + bytes(16)
    (folder / "vectors.fvecs").write_bytes(vector * 20)
    env = {"DATABASE_URL": f"sqlite://{tmp_path}/accounts.db"}
    run("index", "n", "rows.jsonl", "--root", "bucket")
    run("faiss", "build", "vectors.ivf", "--vectors", "vectors.fvecs")
    run("key", "create", "--email", "x@y", env=env)
    return folder, env


def outcome(process):
    """Gives the program one text to read. Returns its exit status and standard error."""
    _, said = process.communicate(b"hello\n", 120)
    return process.returncode, said.decode()


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_lost_output_is_an_error(start, somewhere, arguments):
    folder, env = somewhere

    def there():
        os.chdir(folder)

    def closed():
        os.chdir(folder)
        os.close(1)

    def mute():
        os.chdir(folder)
        os.close(2)

    # If the reader has gone, SIGPIPE ends the program without a message.
    read, write = os.pipe()
    os.close(read)
    process = start(*arguments, stdout=write, env=env, preexec_fn=there)
    os.close(write)
    status, said = outcome(process)
    assert status == -signal.SIGPIPE and "standard output" not in said and "pipe" not in said.lower(), (status, said)
    # If the disk is full or the output is closed, an error says so.
    with open("/dev/full", "wb") as full:
        status, said = outcome(start(*arguments, stdout=full, env=env, preexec_fn=there))
    assert status == 1 and "cannot write standard output" in said, (status, said)
    status, said = outcome(start(*arguments, env=env, preexec_fn=closed))
    assert status == 1 and "cannot write standard output" in said, (status, said)
    # Without standard error everything else works.
    process = start(*arguments, env=env, preexec_fn=mute)
    assert process.communicate(b"hello\n", 120)[0] and process.returncode == 0


def test_errors_without_standard_error_have_their_status(start):
    for arguments, status in ((["nope"], 2), (["search", "n", "q", "--root", "nowhere"], 1)):
        assert outcome(start(*arguments, preexec_fn=lambda: os.close(2)))[0] == status


@pytest.mark.parametrize("closed", [False, True], ids=["a pipe nobody reads", "closed"])
def test_serve_runs_without_a_reader_of_its_address(start, tmp_path, closed):
    read, write = os.pipe()
    os.close(read)
    process = start("serve", "--root", tmp_path, "--port", "0", stdout=write,
                    preexec_fn=(lambda: os.close(1)) if closed else None)
    os.close(write)
    while b"serving" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


# ---- SIGHUP -------------------------------------------------------------------------------------------------

def test_serve_lives_on_after_sighup(start, tmp_path):
    process = start("serve", "--root", tmp_path, "--port", "0", "--log-format", "json")
    process.stdout.readline()
    for _ in range(2):
        process.send_signal(signal.SIGHUP)
        while "SIGHUP" not in json.loads(process.stderr.readline())["message"]:
            pass
    process.send_signal(signal.SIGTERM)
    while "draining" not in json.loads(process.stderr.readline())["message"]:
        pass
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0


def test_other_commands_end_by_sighup(start):
    process = start("embed")
    process.stdin.write(b"hello\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == -signal.SIGHUP


def test_a_server_in_the_background_of_a_shell_leaves_ctrl_c_to_others(start, tmp_path):
    """If SIGINT was ignored when the server started, it stays ignored. SIGTERM still ends the server."""
    process = start("serve", "--root", tmp_path / "root", "--listen", "127.0.0.1:0",
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    url = process.stdout.readline().decode().strip()
    process.send_signal(signal.SIGINT)
    with urllib.request.urlopen(f"{url}/health", timeout=60) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
