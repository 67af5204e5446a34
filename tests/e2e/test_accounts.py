"""Accounts through the program: keys and their life, refusals in each dialect's shape, limits, several servers on one
database, floods of wrong keys, and crashes. The database is SQLite; test_postgres.py uses PostgreSQL."""
import json
import os
import pathlib
import re
import socket
import stat
import threading

import bcrypt
import openai
import pytest
import turbopuffer
from accounts import DEADLINE, Accounts, post, wait_for
from serving import make_root

WRONG = "fe_" + "0" * 64


@pytest.fixture
def accounts(dipper, tmp_path):
    return Accounts(dipper, f"sqlite://{tmp_path}/accounts.db")


def test_a_key_from_creation_to_revocation(accounts, tmp_path):
    made = accounts.key("Ada@Example.org", "--tier", "pro", "--name", "ada's laptop")
    assert sorted(made) == ["id", "key", "tier"] and made["tier"] == "pro"
    assert re.fullmatch("fe_[0-9a-f]{64}", made["key"])
    listed = accounts.run("key", "list", "--json").stdout
    assert made["key"] not in listed and made["key"] not in accounts.run("key", "list").stdout
    (shown,) = json.loads(listed)["keys"]
    assert shown["id"] == made["id"] and shown["prefix"] == made["key"][:11] and shown["email"] == "ada@example.org"
    assert shown["name"] == "ada's laptop" and shown["state"] == "good"
    with accounts.serve(tmp_path) as node:
        status, headers, body = node.embed(made["key"])
        assert status == 200 and len(body["embedding"]) == 384
        assert headers["X-RateLimit-Limit"] == "100000" and headers["X-RateLimit-Remaining"] == "99999"
        assert node.embed(made["key"])[2]["cached"] is True  # a cached answer also counts
        wait_for(lambda: accounts.used() == 2, "the usage")
        (by_key,) = accounts.usage("--key", made["id"])
        assert by_key["embeddings"] == 2 and by_key["requests"] == 2 and by_key["limit"] == 100000
        assert accounts.usage("--month", "2020-01", "--email", "ada@example.org")[0]["embeddings"] == 0
        revoked = json.loads(accounts.run("key", "revoke", made["key"][:11], "--json").stdout)
        assert revoked["id"] == made["id"] and revoked["state"] == "revoked"
    with accounts.serve(tmp_path) as node:  # a server that has never seen the key
        assert node.embed(made["key"])[0] == 401
    # Neither the logs nor the database have the key.
    for path in pathlib.Path(tmp_path).glob("*.*"):
        assert made["key"][11:].encode() not in path.read_bytes(), path
    assert stat.S_IMODE((tmp_path / "accounts.db").stat().st_mode) == 0o600


def raw_post(node, key, body, chunk):
    """Posts `body` to /v1/embed, in chunks of `chunk` bytes (0: not chunked). Sends all of it before it reads the answer, and
    returns the status."""
    with socket.create_connection(("127.0.0.1", int(node.url.rsplit(":", 1)[1])), timeout=DEADLINE) as s:
        framing = b"Transfer-Encoding: chunked" if chunk else b"Content-Length: %d" % len(body)
        s.sendall(b"POST /v1/embed HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer "
                  + key.encode() + b"\r\n" + framing + b"\r\n\r\n")
        pieces = (body[at:at + chunk] for at in range(0, len(body), chunk)) if chunk else ()
        sent = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        s.sendall(sent + b"0\r\n\r\n" if chunk else body)
        return int(s.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("chunk", [0, 100000, 3000], ids=["length", "chunked", "small_chunks"])
def test_a_large_body_waits_for_the_verdict_on_its_key(accounts, tmp_path, chunk):
    """The server pauses the connection amid the body until it has looked the key up, and then reads on."""
    body = json.dumps({"text": "hello" + " " * 3000000}).encode()
    good = accounts.key()["key"]
    with accounts.serve(tmp_path) as node:
        assert raw_post(node, WRONG, body, chunk) == 401
        assert raw_post(node, good, body, chunk) == 200  # the key is not in memory yet
        assert raw_post(node, good, body, chunk) == 200
        assert raw_post(node, "none", body, chunk) == 401


def test_commands_say_what_is_wrong(accounts):
    for arguments, says in ((["key", "create", "--email", "nobody"], "not an e-mail address"),
                            (["key", "create", "--email", "a@b", "--tier", "gold"], "free, pro or scale"),
                            (["key", "create", "--email", "a@b", "--rights", "all"], "embed,read,write"),
                            (["key", "create", "--email", "a@b", "--expires", "soon"], "2027-01-31"),
                            (["key", "create", "--email", "a@b", "--expires", "2020-01-01"], "past"),
                            (["key", "create", "--email", "a@b", "--namespaces", "a/b"], "prefixes of namespaces"),
                            (["key", "create", "--email", "a@b", "--key-prefix", "a b"], "must be 1 to 8"),
                            (["usage", "--month", "November"], "2026-11"),
                            (["usage", "--month", "13"], "2026-11")):
        complaint = accounts.run(*arguments, status=2).stderr
        assert says in complaint and f"usage: dipper {arguments[0]} " in complaint
    assert "no key" in accounts.run("key", "revoke", "'; DROP TABLE users; --", status=1).stderr
    for arguments in (["key"], ["key", "create"], ["key", "revoke"], ["key", "list", "x"], ["usage", "x"],
                      ["key", "list", "--key-prefix", "123456789"]):
        accounts.run(*arguments, status=2)
    assert json.loads(accounts.run("key", "list", "--json").stdout) == {"keys": []}


def test_the_database_is_in_the_state_folder_unless_told_otherwise(dipper, tmp_path):
    for env, path in (({"HOME": tmp_path / "home"}, "home/.local/state/dipper/accounts.db"),
                      ({"HOME": "/nowhere", "XDG_STATE_HOME": tmp_path / "xdg"}, "xdg/dipper/accounts.db")):
        home = Accounts(dipper, "", **env)
        home.key()
        assert (tmp_path / path).is_file()
    config = Accounts(dipper, "postgresql://me:hunter2@db.example/x").run("config").stdout
    assert "hunter2" not in config and "db.example" in config


def test_commands_leave_a_servers_database_alone(accounts, tmp_path):
    """`dipper key` and `dipper usage` run beside a server with several connections. The last process that closes the
    database deletes its write-ahead log. That must be the server."""
    early = accounts.key()
    with accounts.serve(tmp_path, "--database-pool-min", 3, "--log-format", "off") as node:
        assert node.embed(early["key"])[0] == 200
        for command in (["usage"], ["key", "list"], ["key", "revoke", early["id"]]):
            accounts.run(*command)
            held = [os.readlink(link) for link in pathlib.Path(f"/proc/{node.process.pid}/fd").iterdir()]
            assert sum("accounts.db-wal" in name for name in held) == 3
            assert not [name for name in held if "(deleted)" in name and "accounts.db" in name], command
            assert (tmp_path / "accounts.db-wal").exists()
        late = accounts.key("bob@example.org")
        assert node.embed(late["key"])[0] == 200  # the server sees the writes of other processes
        wait_for(lambda: accounts.used("bob@example.org") == 1, "the usage")  # and they see the server's writes
    with accounts.serve(tmp_path) as node:
        assert node.embed(early["key"])[0] == 401 and node.embed(late["key"])[0] == 200


def test_a_database_that_others_may_change_causes_a_warning(accounts, tmp_path):
    assert " warn " not in accounts.run("key", "list").stderr
    (tmp_path / "accounts.db").chmod(0o666)
    tmp_path.chmod(0o777)
    warned = accounts.run("key", "list").stderr
    assert "other users may write the accounts' database" in warned and "mode 666" in warned
    assert "anyone may replace" in warned and "mode 777" in warned
    tmp_path.chmod(0o1777)  # as in /tmp: others may not replace the file
    assert "anyone may replace" not in accounts.run("key", "list").stderr


def test_clients_may_not_open_the_database_as_an_index(accounts, run, tmp_path):
    """If a client could open the database as a FAISS file, closing it would release SQLite's locks."""
    folder = tmp_path / "100% mine"
    folder.mkdir()
    for url in (f"sqlite://{folder}/accounts.db", f"{folder}/accounts.db"):
        done = run("serve", "--root", tmp_path / "r", "--listen", "127.0.0.1:0", "--auth", "--allow-index-url",
                   f"https://x.example file://{tmp_path}", env={"DATABASE_URL": url}, status=1)
        assert "server.allow_index_url permits" in done.stderr and "accounts.db" in done.stderr
    (tmp_path / "indexes").mkdir()
    with accounts.serve(tmp_path, "--allow-index-url", f"file://{tmp_path}/indexes"):
        pass


def test_hashes_work_in_other_programs_too(accounts, tmp_path):
    """Dipper accepts hashes that Python's bcrypt makes, and Python's bcrypt accepts Dipper's."""
    import sqlite3

    made = accounts.key()
    other = "fe_" + "0123456789abcdef" * 4
    with sqlite3.connect(tmp_path / "accounts.db") as db:
        (digest, user) = db.execute("SELECT hash, user_id FROM api_keys").fetchone()
        assert digest.startswith("$2b$12$")
        assert bcrypt.checkpw(made["key"].encode(), digest.encode())
        assert not bcrypt.checkpw(other.encode(), digest.encode())
        db.execute("INSERT INTO api_keys (id, user_id, prefix, hash, name, rights, namespaces, created_at) "
                   "VALUES ('theirs', ?, '01234567', ?, '', 7, '', 0)",
                   (user, bcrypt.hashpw(other.encode(), bcrypt.gensalt(12)).decode()))
    db.close()
    with accounts.serve(tmp_path) as node:
        assert node.embed(other)[0] == 200
        assert node.embed(other[:-1] + "0")[0] == 401


def test_refusals_have_the_shape_of_each_dialect(accounts, tmp_path, dipper):
    make_root(dipper, tmp_path)
    reader = accounts.key("reader@example.org", "--rights", "read", "--namespaces", "orchestra")["key"]
    free = accounts.key("free@example.org", "--tier", "free")["key"]
    with accounts.serve(tmp_path, "--free-limit", 3, "--free-requests", 8) as node:
        status, headers, body = node.embed(WRONG)
        assert status == 401 and sorted(body) == ["error", "message"] and body["error"] == "invalid_api_key"
        assert headers["WWW-Authenticate"] == "Bearer"
        assert node.embed(None)[0] == 401
        status, _, body = post(node.url, "/v2/namespaces/packages/query", {}, WRONG)
        assert status == 401 and body["status"] == "error"
        assert node.embed(reader)[2]["error"] == "permission_denied"
        status, _, body = post(node.url, "/v1/namespaces/packages/metadata", None, reader)
        assert status == 403 and "namespace" in body["error"]
        assert post(node.url, "/v1/namespaces/orchestra/metadata", None, reader)[0] == 200

        def client(key):
            return openai.OpenAI(base_url=node.url + "/v1", api_key=key, max_retries=0)

        with pytest.raises(openai.AuthenticationError) as refused:
            client(WRONG).embeddings.create(model="all-MiniLM-L6-v2", input="x")
        assert refused.value.status_code == 401 and refused.value.code == "invalid_api_key"
        assert refused.value.type == "invalid_request_error"
        with pytest.raises(openai.PermissionDeniedError):
            client(reader).embeddings.create(model="all-MiniLM-L6-v2", input="x")
        client(free).embeddings.create(model="all-MiniLM-L6-v2", input=["one", "two"])
        with pytest.raises(openai.RateLimitError) as refused:
            client(free).embeddings.create(model="all-MiniLM-L6-v2", input=["three", "four"])
        assert refused.value.code == "rate_limit_exceeded"
        assert refused.value.response.headers["X-RateLimit-Remaining"] == "1"
        assert int(refused.value.response.headers["Retry-After"]) > 0
        assert node.embed(free)[0] == 200
        status, headers, body = node.embed(free)
        assert status == 429 and body["error"] == "rate_limit_exceeded"
        assert re.fullmatch(r"\d{4}-\d\d-01T00:00:00Z", body["reset_at"])
        assert headers["X-RateLimit-Limit"] == "3" and headers["X-RateLimit-Remaining"] == "0"
        with pytest.raises(turbopuffer.AuthenticationError):
            turbopuffer.Turbopuffer(base_url=node.url, api_key=WRONG).namespace("packages").metadata()
        puffer = turbopuffer.Turbopuffer(base_url=node.url, api_key=free, max_retries=0)
        assert puffer.namespace("packages").metadata().approx_row_count == 7
        for _ in range(8):  # a new minute may begin meanwhile
            last = post(node.url, "/v1/models", None, free)
        if last[0] != 429:
            for _ in range(9):
                last = post(node.url, "/v1/models", None, free)
        assert last[0] == 429 and last[1]["X-RateLimit-Limit"] == "8" and last[2]["error"]["code"] == "rate_limit_exceeded"
        assert node.metric('dipper_rate_limit_exceeded_total{tier="free"}') >= 3
        assert node.metric('dipper_auth_total{result="invalid"}') >= 3
    for key in (reader, free):
        assert key[11:] not in node.log()


def test_the_access_log_names_key_and_tier(accounts, tmp_path):
    made = accounts.key("ada@example.org", "--tier", "scale")
    with accounts.serve(tmp_path, "--log-format", "json") as node:
        node.embed(made["key"])
        wait_for(lambda: '"/v1/embed"' in node.log(), "the access log")
    lines = [json.loads(line) for line in node.log().splitlines()]
    (line,) = [line for line in lines if line.get("path") == "/v1/embed"]
    assert line["key"] == made["id"] and line["tier"] == "scale"


def test_health_and_metrics_need_a_key_only_if_configured(accounts, tmp_path):
    key = accounts.key()["key"]
    with accounts.serve(tmp_path, "--protect-metrics") as node:
        assert post(node.url, "/health", None)[0] == 401
        assert post(node.url, "/health", None, key)[0] == 200


def test_a_server_beyond_loopback_asks_for_keys(dipper, run, tmp_path):
    done = run("serve", "--root", tmp_path / "r", "--listen", "0.0.0.0:0", status=1)
    assert "--auth" in done.stderr and "--insecure" in done.stderr


def clients_at_the_edge(nodes, key, count):
    """Runs clients until each is refused for the month. Returns how many embeddings they got."""
    got = []

    def client(node):
        mine = 0
        while True:
            status, _, body = node.embed(key, "at the edge")
            if status == 200:
                mine += 1
            elif status == 429:
                break
            else:
                assert status == 503, body  # the server is looking the key up for the first time
        got.append(mine)

    threads = [threading.Thread(target=client, args=(nodes[i % len(nodes)],)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == count
    return sum(got)


def test_clients_at_the_edge_of_two_servers_never_overrun(accounts, tmp_path):
    limit, batch = 600, 16
    key = accounts.key("ada@example.org", "--tier", "pro")["key"]
    arguments = ["--pro-limit", limit, "--pro-requests", 0, "--quota-batch", batch, "--log-format", "off"]
    with accounts.serve(tmp_path, *arguments) as one, accounts.serve(tmp_path, *arguments) as two:
        used = clients_at_the_edge([one, two], key, 64)
        assert limit - 2 * batch - 64 <= used <= limit
    assert accounts.used() == used


def test_a_crash_loses_at_most_the_last_second(accounts, tmp_path):
    """Usage older than a second survives a crash. The user gets the rest of the dead server's lease back when the lease ends."""
    key = accounts.key("ada@example.org", "--tier", "pro")["key"]
    with accounts.serve(tmp_path) as node:
        for _ in range(10):
            assert node.embed(key)[0] == 200
        wait_for(lambda: accounts.used() == 10, "the usage")
        node.kill()
    assert accounts.used() == 10
    with accounts.serve(tmp_path) as node:  # the next server counts on from there
        assert node.embed(key)[1]["X-RateLimit-Remaining"]
    assert accounts.used() == 11


def insert_key(folder, text):
    """Inserts a key as other programs make it: with only a bcrypt hash, for the existing user."""
    import sqlite3

    with sqlite3.connect(folder / "accounts.db") as db:
        (user,) = db.execute("SELECT id FROM users").fetchone()
        db.execute("INSERT INTO api_keys (id, user_id, prefix, hash, name, rights, namespaces, created_at) "
                   "VALUES (?, ?, ?, ?, '', 7, '', 0)",
                   (text[3:11], user, text[3:11], bcrypt.hashpw(text.encode(), bcrypt.gensalt(12)).decode()))
    db.close()


@pytest.mark.parametrize("digest", [True, False], ids=["with a digest", "with a hash alone"])
def test_a_flood_of_wrong_keys_leaves_good_ones_alone(accounts, tmp_path, digest):
    """Wrong keys with the prefix of a good key cost bcrypt if the database has only the good key's bcrypt hash. Then a few
    wait and the others are refused. The good key is in memory, so it never waits for them."""
    good = accounts.key("ada@example.org", "--tier", "scale")["key"]
    known = good[:11] if digest else "fe_01234567"
    insert_key(tmp_path, "fe_01234567" + "a" * 56)
    stop = threading.Event()
    answers = []

    def flood(number):
        for i in range(1000000):
            if stop.is_set():
                return
            wrong = known + f"{number:02x}{i:06x}" + "0" * 48
            answers.append(post(node.url, "/v1/models", None, wrong)[0])

    with accounts.serve(tmp_path, "--log-format", "off", "--scale-requests", 0) as node:
        assert node.embed(good)[0] == 200
        before = node.metric("dipper_bcrypt_total")
        threads = [threading.Thread(target=flood, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: 401 in answers and (digest or 503 in answers), "refusals")
        for _ in range(50):
            assert node.embed(good)[0] == 200
            assert node.metric("dipper_bcrypt_queue") <= (0 if digest else 4)  # all have one prefix
        stop.set()
        for thread in threads:
            thread.join()
        ran = node.metric("dipper_bcrypt_total") - before
        if digest:
            assert set(answers) == {401} and ran == 0
        else:
            assert set(answers) == {401, 503} and ran == answers.count(401)  # bcrypt ran only for these
        # Malformed keys and keys with unknown prefixes never cost bcrypt.
        before = node.metric("dipper_bcrypt_total")
        for wrong in ("x", "fe_", WRONG, "fe_" + "f" * 64, "fe_' OR '1'='1"):
            assert node.embed(wrong)[0] == 401
        assert node.metric("dipper_bcrypt_total") == before


def test_keys_of_other_programs_need_bcrypt_once(accounts, tmp_path):
    accounts.key()
    theirs = "fe_" + "0123456789abcdef" * 4
    insert_key(tmp_path, theirs)
    for runs in (1, 0):
        with accounts.serve(tmp_path) as node:
            assert node.embed(theirs)[0] == 200
            assert node.metric("dipper_bcrypt_total") == runs
