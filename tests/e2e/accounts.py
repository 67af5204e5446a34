"""Helpers of the tests of accounts: the program's key commands, requests with keys, and a private PostgreSQL."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from program import clean_environment

DEADLINE = 60  # seconds; the time limit of each wait


class Accounts:
    """The program's commands over one database."""

    def __init__(self, dipper, url, **env):
        self.dipper, self.url = dipper, url
        self.env = clean_environment(DATABASE_URL=url, **env)

    def run(self, *arguments, status=0):
        done = subprocess.run([self.dipper, *map(str, arguments)], capture_output=True, text=True, timeout=120, env=self.env,
                              check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def key(self, email="ada@example.org", *more):
        """Makes a key and returns {"key", "id", "tier"}."""
        return json.loads(self.run("key", "create", "--email", email, "--json", *more).stdout)

    def usage(self, *more):
        return json.loads(self.run("usage", "--json", *more).stdout)["usage"]

    def used(self, email="ada@example.org"):
        (row,) = self.usage("--email", email)
        return row["embeddings"]

    @contextlib.contextmanager
    def serve(self, folder, *arguments):
        """Starts a Node that asks for keys. Checks that SIGTERM ends it cleanly, unless the test has killed it."""
        node = Node(self.dipper, folder, self.env, ["--auth", *arguments])
        try:
            yield node
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)
                assert node.process.wait(60) == 0, node.log()
        finally:
            if node.process.poll() is None:
                node.kill()
            node.process.stdout.close()


class Node:
    """A running `dipper serve` that logs to a file."""

    count = 0

    def __init__(self, dipper, folder, env, arguments):
        Node.count += 1
        self.path = folder / f"node{Node.count}.log"
        with self.path.open("wb") as log:
            self.process = subprocess.Popen([dipper, "serve", "--root", folder / "root", "--listen", "127.0.0.1:0",
                                             *map(str, arguments)], stdout=subprocess.PIPE, stderr=log, text=True, env=env)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.log()

    def log(self):
        return self.path.read_text(encoding="utf-8")

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    def embed(self, key, text="hello"):
        return post(self.url, "/v1/embed", {"text": text}, key)

    def metric(self, name):
        """Returns the sum of all samples whose name and labels begin with `name`."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=DEADLINE) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def post(url, path, body, key=None, headers=None):
    """Returns the status, headers and body of the answer, also for errors."""
    request = urllib.request.Request(url + path, data=None if body is None else json.dumps(body).encode(),
                                     headers={**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read())


def wait_for(condition, what):
    """Calls condition() until its value is true, and returns that value."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come in {DEADLINE} s")


class Postgres:
    """Debian's PostgreSQL over a new folder, on a free port of this host. If we are root, the user postgres runs it."""

    def __init__(self, folder):
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres")).parent
        self.folder = folder
        self.process = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.become = []
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
            self.become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        self.command("initdb", "--auth=trust", "--username=dipper", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
                     "-D", folder / "data")

    def command(self, name, *arguments):
        done = subprocess.run([*self.become, self.bin / name, *arguments], capture_output=True, text=True, timeout=120,
                              cwd="/", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def url(self, database="postgres"):
        return f"postgresql://dipper:unused-secret@127.0.0.1:{self.port}/{database}"

    def start(self):
        self.process = subprocess.Popen([*self.become, self.bin / "postgres", "-D", self.folder / "data",
                                         "-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                                         "-c", f"unix_socket_directories={self.folder}"], cwd="/",
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            assert self.process.poll() is None, "postgres ended"
            return subprocess.run([self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                                  check=False).returncode == 0

        wait_for(answers, "PostgreSQL")

    def stop(self, immediately=False):
        """Stops the server and disconnects its clients. With `immediately` it stops as in a crash."""
        if self.process:
            if immediately:
                self.command("pg_ctl", "stop", "-D", self.folder / "data", "-m", "immediate")
            else:
                self.command("pg_ctl", "stop", "-D", self.folder / "data", "-m", "fast")
            self.process.wait(60)
            self.process = None

    def sql(self, text, database="postgres", port=None):
        return self.command("psql", "-XAtq", "-h", "127.0.0.1", "-p", str(port or self.port), "-U", "dipper", "-d", database,
                            "-c", text).strip()


@contextlib.contextmanager
def pooler(postgres, folder):
    """Runs a pgbouncer that has one session for all transactions of all clients. Gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "pgbouncer.ini"
    settings.write_text(f"""[databases]
* = user=dipper host=127.0.0.1 port={postgres.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
auth_file =
pool_mode = transaction
default_pool_size = 1
unix_socket_dir =
""", encoding="utf-8")
    folder.chmod(0o755)
    process = subprocess.Popen([*postgres.become, "/usr/sbin/pgbouncer", settings], cwd="/", stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: subprocess.run([postgres.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)],
                                        check=False).returncode == 0, "pgbouncer")
        yield port
    finally:
        process.terminate()
        process.wait(60)
