"""Settings come from flags, the environment and dipper.toml; a wrong one stops the start."""
import re

import pytest

COMMANDS = {"index": ["n", "-"], "search": ["n", "words"], "serve": [], "embed": [], "model": ["info"], "config": []}
# flag, environment, dipper.toml, a wrong value, the setting, the allowed values
WRONG = [
    ("--threads", "DIPPER_THREADS", ("compute", "threads"), "1025", "compute.threads", "0 to 1024"),
    ("--log-level", "DIPPER_LOG_LEVEL", ("log", "level"), "loud", "log.level", "debug, info, warn, error"),
    ("--port", "DIPPER_PORT", ("server", "port"), "65536", "server.port", "0 to 65535"),
    ("--drain-timeout", "DIPPER_DRAIN_TIMEOUT", ("server", "drain_timeout"), "2 days", "server.drain_timeout", "1ms to 1h"),
    ("--max-body-bytes", "DIPPER_MAX_BODY_BYTES", ("limits", "max_body_bytes"), "1B", "limits.max_body_bytes", "1KiB to 1GiB"),
    ("--listen", "DIPPER_LISTEN", ("server", "listen"), "nowhere", "server.listen", "ADDRESS:PORT"),
]


@pytest.mark.parametrize("flag, variable, place, value, name, allowed", WRONG, ids=[w[1] for w in WRONG])
def test_a_wrong_setting_is_refused_with_its_name_place_and_range(run, tmp_path, flag, variable, place, value, name, allowed):
    def check(done, source):
        first = done.stderr.splitlines()[0]
        assert name in first and f'"{value}"' in first and allowed in first and source in first, done.stderr
        assert done.stdout == ""

    check(run("config", flag, value, status=2), flag)
    check(run("config", f"{flag}={value}", status=2), flag)
    check(run("config", env={variable: value}, status=2), variable)
    (tmp_path / "cwd" / "dipper.toml").write_text(f'[{place[0]}]\n{place[1]} = "{value}"\n')
    check(run("config", status=2), "dipper.toml")


def test_variables_of_other_programs_are_ignored_with_a_warning(run, tmp_path):
    for variable, value in (("WORKERS", "auto"), ("HOST", "x86_64-conda-linux-gnu"), ("DIPPER_PORT", "tcp://10.96.0.12:8000")):
        done = run("config", env={variable: value})
        assert f"environment {variable}" in done.stderr and value in done.stderr and f"{variable})" not in done.stdout
        assert run("config", "--threads", 1, "--listen", "h:1", env={variable: value}).stderr == ""
    # Commands that do not use a variable do not mention it.
    others = {"WORKERS": "auto", "HOST": "conda", "PORT": "x"}
    assert " warn " not in run("key", "list", "--state-home", tmp_path, env=others).stderr
    assert run("search", "n", "x", "--root", "mem://x", env={"HOST": "conda", "DATABASE_URL": "mysql://x"},
               status=1).stderr.count("\n") == 1


def test_a_server_that_cannot_listen_names_the_setting_of_the_host(run, tmp_path):
    for env, says in (({"HOST": "192.0.2.1", "PORT": "0"}, "(HOST)"), ({"DIPPER_LISTEN": "192.0.2.1:0"}, "DIPPER_LISTEN"),
                      ({"HOST": "0.0.0.0", "PORT": "0"}, "(HOST)")):
        assert says in run("serve", "--root", tmp_path / "r", env=env, status=1).stderr


def test_the_example_of_variables_works_as_it_says(run, dipper, source, tmp_path):
    lines = (source / ".env.example").read_text(encoding="utf-8").splitlines()
    (how,) = [line for line in lines if "dipper serve" in line]
    text = "\n".join(line[1:] if re.match("#[A-Z0-9_]+=.", line) else line for line in lines)
    (tmp_path / "cwd" / ".env").write_text(text, encoding="utf-8")
    command = how.split("#")[1].split("  in a shell")[0].replace("dipper serve", f"'{dipper}' config").strip()
    told = run("-c", command, program="/bin/sh")
    assert told.stderr == "" and "server.port = 8000 (environment DIPPER_PORT)" in told.stdout


def test_a_model_that_cannot_be_opened_names_its_variable(run):
    assert "MODEL_PATH" in run("embed", input="x\n", env={"MODEL_PATH": "/models/llama.gguf"}, status=1).stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stops_at_a_wrong_setting_before_it_does_anything(run, tmp_path, command):
    root = [] if command in ("embed", "model", "config") else ["--root", tmp_path / "bucket"]
    done = run(command, *COMMANDS[command], *root, env={"DIPPER_THREADS": "x"}, status=2)
    assert "compute.threads" in done.stderr and "DIPPER_THREADS" in done.stderr and "0 to 1024" in done.stderr
    assert not (tmp_path / "bucket").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_options_of_every_command(run, command):
    for option in ("--frobnicate", "--frobnicate=7", "-z"):
        done = run(command, *COMMANDS[command], option, status=2)
        assert option.split("=")[0] in done.stderr and f"usage: dipper {command}" in done.stderr


def test_flags_win_over_environment_over_file_over_defaults(run, tmp_path):
    def threads(*arguments, **env):
        return re.search(r"^compute\.threads = (.*)$", run("config", *arguments, env=env).stdout, re.M).group(1)

    assert threads().startswith("0 (default")
    (tmp_path / "cwd" / "dipper.toml").write_text("[compute]\nthreads = 1\n")
    assert threads().startswith("1 (") and "dipper.toml" in threads()
    assert threads(DIPPER_THREADS=2).startswith("2 (") and "DIPPER_THREADS" in threads(DIPPER_THREADS=2)
    assert threads("--threads", "3", DIPPER_THREADS=2).startswith("3 (")
    (tmp_path / "other.toml").write_text("[compute]\nthreads = 4\n")
    assert threads("--config", tmp_path / "other.toml").startswith("4 (")
    assert threads(DIPPER_CONFIG=tmp_path / "other.toml").startswith("4 (")


def test_a_wrong_settings_file_is_refused_with_its_line(run, tmp_path):
    path = tmp_path / "cwd" / "dipper.toml"
    for text, says in (("[compute]\nthread = 1\n", "line 2"), ("root = \n", "line 1"), ("root = 'a'\nroot = 'b'\n", "line 2"),
                       ("\x00", "line 1"), ("[server\n", "line 1")):
        path.write_text(text)
        done = run("config", status=2)
        assert "dipper.toml" in done.stderr and says in done.stderr, done.stderr
    path.unlink()
    assert "nowhere.toml" in run("config", "--config", "nowhere.toml", status=2).stderr
    path.mkdir()
    assert "dipper.toml" in run("config", status=2).stderr


def test_the_version(run, source):
    version = re.search(r"version: '([^']+)'", (source / "meson.build").read_text(encoding="utf-8")).group(1)
    assert run("--version").stdout == run("version").stdout == f"dipper {version}\n"
