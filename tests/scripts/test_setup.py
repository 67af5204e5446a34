"""scripts/setup on machines of several kinds. Stand-ins for the package manager's programs act these machines."""
import os
import pty
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.tree

NEEDED = ["bash", "cat", "chmod", "env", "grep", "id", "rm", "touch"]
TOOLS = ["gcc", "meson", "ninja", "pkg-config", "python3", "curl"]

# apt-get logs its arguments. With "install" it makes the tools that the packages bring.
APT_GET = """#!/usr/bin/env bash
echo "apt-get $*" >>"$LOG"
case " $* " in
*" --assume-no "*) echo "Need to get 12.3 MB of archives."; echo "After this operation, 45.6 MB of additional disk space will be used."; exit 1 ;;
*" update "*) touch "$MACHINE/lists" ;;
*" install "*)
    [ -e "$MACHINE/broken" ] && exit 100
    if [ -e "$MACHINE/stale" ]; then rm "$MACHINE/stale"; exit 100; fi
    for tool in gcc meson ninja pkg-config python3 curl; do printf '#!/bin/sh\\n' >"$BIN/$tool"; chmod +x "$BIN/$tool"; done ;;
esac
"""
APT_CACHE = """#!/usr/bin/env bash
if [ -e "$MACHINE/lists" ]; then echo "  Candidate: 1.0"; else echo "  Candidate: (none)"; fi
"""
SUDO = """#!/usr/bin/env bash
echo "sudo $1" >>"$LOG"
exec "$@"
"""


class Machine:
    def __init__(self, source, folder):
        self.source = source
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.state = folder / "machine"
        self.bin.mkdir()
        self.state.mkdir()
        self.log.touch()
        for name in NEEDED:
            os.symlink(shutil.which(name), self.bin / name)
        self.env = {"PATH": str(self.bin), "BIN": str(self.bin), "LOG": str(self.log), "MACHINE": str(self.state)}

    def add(self, name, text="#!/bin/sh\n"):
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def debian(self, lists=True):
        self.add("apt-get", APT_GET)
        self.add("apt-cache", APT_CACHE)
        self.add("dpkg")
        if lists:
            (self.state / "lists").touch()

    def user(self, number):
        self.add("id", f"#!/bin/sh\necho {number}\n")

    def setup(self, *arguments, **env):
        return subprocess.run([shutil.which("bash"), self.source / "scripts" / "setup", *arguments],
                              env={**self.env, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def setup_on_terminal(self, answer, **env):
        """Runs scripts/setup on a terminal where the user types `answer`. Returns the exit status and the output."""
        ours, theirs = pty.openpty()
        child = subprocess.Popen([shutil.which("bash"), self.source / "scripts" / "setup"],
                                 env={**self.env, **env}, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        os.write(ours, answer.encode())
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the script closed its end of the terminal
                break
            if not chunk:
                break
            shown += chunk
        os.close(ours)
        return child.wait(), shown.decode()

    def asked(self):
        return self.log.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def machine(source, tmp_path):
    return Machine(source, tmp_path)


def test_a_ready_machine_is_left_alone(machine):
    for tool in TOOLS:
        machine.add(tool)
    machine.debian()
    done = machine.setup("--quiet")
    assert (done.returncode, done.stdout, machine.asked()) == (0, "", [])
    assert "everything is here" in machine.setup().stdout


def test_a_fresh_machine_fetches_the_lists_and_installs_once(machine):
    machine.debian(lists=False)
    machine.user(0)
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    update, install = machine.asked()
    assert update.endswith(" update")
    assert "--no-install-recommends" in install and " meson " in install and " libmicrohttpd-dev " in install
    assert "sudo" not in "".join(machine.asked())
    assert machine.setup("--quiet").stdout == ""
    assert len(machine.asked()) == 2


def test_only_what_is_missing_is_installed(machine):
    for tool in TOOLS:
        machine.add(tool)
    (machine.bin / "ninja").unlink()
    machine.debian()
    machine.user(0)
    assert machine.setup().returncode == 0
    assert machine.asked()[0].split("--no-install-recommends ")[1] == "ninja-build"


def test_sudo_is_used_by_those_who_are_not_root(machine):
    machine.debian()
    machine.user(1000)
    machine.add("sudo", SUDO)
    assert machine.setup().returncode == 0
    assert machine.asked()[0] == "sudo env"


def test_without_sudo_the_command_for_root_is_shown(machine):
    machine.debian()
    machine.user(1000)
    done = machine.setup()
    assert done.returncode == 1
    assert "apt-get install --no-install-recommends gcc" in done.stderr
    assert machine.asked() == []


def test_a_dry_run_does_nothing(machine):
    machine.debian(lists=False)
    machine.user(0)
    done = machine.setup("--dry-run")
    assert done.returncode == 0
    assert "apt-get update" in done.stdout and "apt-get install --no-install-recommends gcc" in done.stdout
    assert machine.asked() == []


def test_another_system_gets_the_list_of_packages(machine):
    done = machine.setup()
    assert done.returncode == 1
    assert "not a Debian system" in done.stderr and "libzstd-dev" in done.stderr


def test_a_terminal_is_shown_the_size_and_asked(machine):
    machine.debian()
    machine.user(0)
    status, shown = machine.setup_on_terminal("n\n")
    assert status == 1
    assert "45.6 MB" in shown and "Install them?" in shown and "Nothing was installed" in shown
    assert all("--assume-no" in line for line in machine.asked())
    assert machine.setup_on_terminal("y\n")[0] == 0


def test_yes_asks_nothing_on_a_terminal(machine):
    machine.debian()
    machine.user(0)
    status, shown = machine.setup_on_terminal("", YES="1")
    assert status == 0
    assert "Install them?" not in shown


def test_stale_lists_are_fetched_again(machine):
    machine.debian()
    machine.user(0)
    (machine.state / "stale").touch()
    assert machine.setup().returncode == 0
    assert [line.split()[-1] == "update" for line in machine.asked()] == [False, True, False]


def test_a_failed_installation_is_a_failure(machine):
    machine.debian()
    machine.user(0)
    (machine.state / "broken").touch()
    done = machine.setup()
    assert done.returncode == 1
    assert "apt-get install failed" in done.stderr


def test_all_adds_the_compilers_and_the_browser(machine):
    core, clang, everything = (machine.setup(*more, "--list").stdout for more in ([], ["--clang"], ["--all"]))
    assert "clang-tidy" in clang and "clang-tidy" not in core
    assert "chromium" in everything and "chromium" not in clang
    assert core in clang and clang in everything


def test_arm64_adds_the_cross_compiler_and_all_has_it_too(machine):
    core, arm64, everything = (machine.setup(*more, "--list").stdout for more in ([], ["--arm64"], ["--all"]))
    assert "qemu-user" in arm64 and "qemu-user" in everything and "qemu-user" not in core
    assert core in arm64 and "clang-tidy" not in arm64
    both = machine.setup("--arm64", "--clang", "--list").stdout
    assert "qemu-user" in both and "clang-tidy" in both


def test_avx512_adds_its_emulator_which_all_leaves_out(machine):
    core, avx512, everything = (machine.setup(*more, "--list").stdout for more in ([], ["--avx512"], ["--all"]))
    assert "bochs" in avx512 and "bochs" not in everything
    assert core in avx512 and "qemu-user" not in avx512


def test_the_list_of_libraries_has_only_linked_ones(machine):
    libraries = machine.setup("--list-libraries").stdout.split()
    assert "libssl-dev" in libraries and "libcmocka-dev" in libraries
    assert not {"gcc", "libc6-dev", "python3"} & set(libraries)


def test_onnxruntime_is_fetched_when_asked_for(machine):
    for tool in TOOLS:
        machine.add(tool)
    machine.debian()
    assert "fetch-onnxruntime" in machine.setup("--with-onnxruntime", "--dry-run").stdout
    assert "fetch-onnxruntime" not in machine.setup("--all", "--dry-run").stdout


def test_docs_name_every_package(machine, source):
    docs = (source / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for line in machine.setup("--all", "--list").stdout.splitlines():
        assert f"`{line.split()[0]}`" in docs, line


def test_an_unknown_flag_is_refused(machine):
    assert machine.setup("--al").returncode == 2
