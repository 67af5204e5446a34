"""Gives tests the same surroundings everywhere: tests/conftest.py calls settle() before it loads any test.

A test that needs other surroundings (a locale, an ignored signal) sets them up for the program that it starts.
"""
import atexit
import locale
import os
import resource
import shutil
import signal
import tempfile
import time

# These variables of the caller stay. They say where programs are, what is under test, and what tools need.
KEPT = {"PATH", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE", "CI", "CC",
        "DIPPER_BUILD", "DIPPER_PYTHON", "DIPPER_CHECK_FIXED", "GOPATH", "GOCACHE", "GOMODCACHE"}
KEPT_PREFIXES = ("ASAN_", "UBSAN_", "LSAN_", "TSAN_", "CCACHE_", "QEMU_", "PYTEST_", "COV_")
FILES = 1024  # maximum number of open files


def settle_environment():
    """Removes the caller's settings, and sets a fresh home, a fixed locale and a fixed time zone."""
    home = tempfile.mkdtemp(prefix="dipper-home-")
    owner = os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(home, ignore_errors=True))
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(KEPT_PREFIXES):
            del os.environ[name]
    os.environ.update(HOME=home, LC_ALL="C.UTF-8", TZ="UTC0", TERM="xterm")
    locale.setlocale(locale.LC_ALL, "")
    time.tzset()


def settle_signals():
    """Restores signals that a background shell, nohup or a supervisor ignored or blocked, here and in child processes."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def settle():
    settle_environment()
    settle_signals()
    os.umask(0o022)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES if hard == resource.RLIM_INFINITY else min(hard, FILES), hard))
