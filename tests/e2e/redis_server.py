"""Debian's redis-server, started on a free port of this host."""
import contextlib
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, seconds=60):
    """Waits until what() is true, and returns its value."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.01)
    return answer


class Redis:
    """A Redis server that writes nothing to the disk."""

    def __init__(self, folder, *options):
        self.port, self.folder, self.options, self.process = free_port(), folder, options, None

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", str(self.folder), *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.accepts())
        return self

    def accepts(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as s:
            s.sendall(b"PING\r\n")
            return s.recv(10)[:1] in (b"+", b"-")
        return False

    def end(self, how=signal.SIGKILL):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait()
        self.process = None

    def cli(self, *arguments, input=None):
        done = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *map(str, arguments)],
                              input=input, capture_output=True, timeout=30, check=True)
        return done.stdout

    def keys(self, *login):
        return self.cli(*login, "--scan").decode().split()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"


@contextlib.contextmanager
def redis_servers(count, folder, *options):
    servers = [Redis(folder, *options) for _ in range(count)]
    try:
        yield [server.start() for server in servers]
    finally:
        for server in servers:
            server.end()
