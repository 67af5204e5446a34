"""Passwords and presigned queries never get into messages, whatever characters they have. libpq, hiredis and curl quote
malformed URLs, and a password that is not percent-encoded looks like a port, a host or a path."""
import signal

import pytest

FIRST, SECOND = "Hun", "ter2"
PASSWORDS = [FIRST + c + SECOND for c in ("%", "/", "@", ":", "?", "#", "&", "=", ",", "[", "]", "%zz", "%00", "\\", "://")]


def check(text, url):
    assert FIRST not in text and SECOND not in text, (url, text)


def output_of_server(start, *arguments, **env):
    """Returns the output of a server until it listens or fails."""
    process = start("serve", "--listen", "127.0.0.1:0", *arguments, env=env)
    if process.stdout.readline():
        process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=60)
    return (out + errors).decode()


@pytest.mark.parametrize("password", PASSWORDS)
def test_passwords_of_databases_are_not_shown(run, start, tmp_path, password):
    # Port 1 refuses connections. Some of these URLs are malformed; some name missing files or hosts.
    for url in (f"postgresql://app:{password}@127.0.0.1:1/accounts", f"postgres://127.0.0.1:1/accounts?password={password}"):
        env = {"DATABASE_URL": url, "DIPPER_DATABASE_TIMEOUT": "100ms"}
        check(run("key", "list", env=env, status=None).stderr, url)
        check(run("config", env=env).stdout, url)
    check(output_of_server(start, "--root", tmp_path / "r", "--auth", DATABASE_URL=f"postgresql://app:{password}@127.0.0.1:1/a"),
          password)


@pytest.mark.parametrize("password", PASSWORDS)
def test_passwords_of_roots_and_caches_are_not_shown(run, start, password):
    for url in (f"http://app:{password}@127.0.0.1:1/x", f"http://127.0.0.1:1/x?X-Amz-Signature={password}",
                f"s3://app:{password}@bucket/x", f"file://app:{password}@host/x"):
        check(output_of_server(start, "--root", url), url)
        check(run("config", "--root", url).stdout, url)
        check(run("serve", url, status=2).stderr, url)
        check(run("serve", f"--rot={url}", status=2).stderr, url)
    url = f"redis://app:{password}@127.0.0.1:1"
    check(output_of_server(start, "--root", "mem://x", REDIS_URL=url), url)
    check(run("config", env={"REDIS_URL": url}).stdout, url)
    rule = f"https://app:{password}@files.example/x"
    check(output_of_server(start, "--root", "mem://x", "--allow-index-url", rule), rule)
    check(run("config", "--allow-index-url", rule).stdout, rule)
