"""Accounts in Debian's PostgreSQL. The tests run it over a new folder, and stop and start it again under load."""
import json
import os
import subprocess
import threading
import time

import pytest
from accounts import Accounts, Postgres, pooler, wait_for
from test_accounts import clients_at_the_edge

pytestmark = pytest.mark.daemon


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    folder = tmp_path_factory.mktemp("postgres")
    folder.parent.chmod(0o755)
    folder.parent.parent.chmod(0o755)
    server = Postgres(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def database(postgres, request):
    """Creates a fresh database and returns its URL."""
    name = f"d{abs(hash(request.node.name))}"
    if not postgres.process:
        postgres.start()
    postgres.sql(f"CREATE DATABASE {name}")
    return postgres.url(name)


@pytest.fixture
def accounts(dipper, database):
    return Accounts(dipper, database)


@pytest.mark.parametrize("program", ["test_accounts", "test_quota"])
def test_the_unit_tests_pass_on_postgres(build, database, program, source):
    if not (build / "tests" / program).exists():
        subprocess.run(["ninja", "-C", build, f"tests/{program}"], check=True, capture_output=True)
    done = subprocess.run([build / "tests" / program], capture_output=True, text=True, timeout=280, check=False,
                          env={**os.environ, "DIPPER_TEST_DATABASE_URL": database,
                               "DIPPER_TEST_DATA": str(source / "tests" / "data")})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_and_its_usage(accounts, tmp_path):
    made = accounts.key("ada@example.org", "--tier", "scale")
    with accounts.serve(tmp_path) as node:
        assert node.embed(made["key"])[0] == 200
        assert node.embed(made["key"][:-1] + ("0" if made["key"][-1] != "0" else "1"))[0] == 401
        wait_for(lambda: accounts.used() == 1, "the usage")
        accounts.run("key", "revoke", made["id"])
    with accounts.serve(tmp_path) as node:
        assert node.embed(made["key"])[0] == 401


def test_many_processes_may_upgrade_a_database_at_once(accounts):
    with_commands = [subprocess.Popen([accounts.dipper, "usage", "--json"], env=accounts.env, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True) for _ in range(12)]
    for process in with_commands:
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert json.loads(out)["usage"] == []


def test_a_newer_database_is_refused(accounts, postgres):
    accounts.key()
    postgres.sql("INSERT INTO dipper.dipper_schema (version, applied_at) VALUES (77, 0)", accounts.url.rsplit("/", 1)[1])
    assert "version 77" in accounts.run("key", "list", status=1).stderr


def test_tables_have_a_schema_of_their_own(accounts, postgres, tmp_path):
    """If another program has a table `users`, it stays unchanged. The first message says where the accounts are."""
    name = accounts.url.rsplit("/", 1)[1]
    postgres.sql("CREATE TABLE users (id INT PRIMARY KEY, login TEXT); INSERT INTO users VALUES (1, 'theirs')", name)
    first = accounts.run("key", "create", "--email", "ada@example.org").stderr
    assert f"the schema dipper of the PostgreSQL database {name} at 127.0.0.1:{postgres.port}" in first
    assert "unused-secret" not in first
    assert "schema" not in accounts.run("key", "list").stderr
    assert postgres.sql("SELECT login FROM public.users", name) == "theirs"
    assert postgres.sql("SELECT email FROM dipper.users", name) == "ada@example.org"
    other = Accounts(accounts.dipper, accounts.url, DIPPER_DATABASE_SCHEMA="team_2")
    other.key("bob@example.org")
    assert postgres.sql("SELECT email FROM team_2.users", name) == "bob@example.org"
    assert len(json.loads(accounts.run("key", "list", "--json").stdout)["keys"]) == 1
    for schema in ('a"; DROP TABLE users; --', "Dipper", "1a", "pg_x"):
        wrong = Accounts(accounts.dipper, accounts.url, DIPPER_DATABASE_SCHEMA=schema)
        assert "a-z, 0-9 and _" in wrong.run("key", "list", status=2).stderr


@pytest.mark.parametrize("old", ["public", "dipper_user"])
def test_tables_of_the_first_programs_are_moved(accounts, postgres, tmp_path, old):
    """Early versions kept the tables in a schema of the search path: public, or the one named after the user."""
    name = accounts.url.rsplit("/", 1)[1]
    user = "dipper_user" if old == "dipper_user" else "dipper"
    if old != "public":
        postgres.sql(f"CREATE ROLE {old} SUPERUSER LOGIN", name)
        postgres.sql(f"CREATE SCHEMA {old}", name)
    accounts = Accounts(accounts.dipper, accounts.url.replace("//dipper:", f"//{user}:"))
    key = accounts.key("ada@example.org", "--tier", "pro")["key"]
    for table in ("users", "api_keys", "usage", "leases", "key_usage", "dipper_schema"):
        postgres.sql(f"ALTER TABLE dipper.{table} SET SCHEMA {old}", name)
    postgres.sql("DROP SCHEMA dipper", name)
    postgres.sql(f"CREATE TABLE {old}.theirs (id INT)", name)
    assert f"moved from the schema {old} to dipper" in accounts.run("key", "list").stderr
    with accounts.serve(tmp_path) as node:
        assert node.embed(key)[0] == 200
    assert postgres.sql(f"SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = '{old}'", name) == "theirs"


def test_without_the_right_to_create_the_schema_the_error_says_how(accounts, postgres):
    name = accounts.url.rsplit("/", 1)[1]
    postgres.sql("CREATE ROLE guest LOGIN", name)
    guest = Accounts(accounts.dipper, accounts.url.replace("//dipper:", "//guest:"))
    assert "CREATE SCHEMA dipper AUTHORIZATION" in guest.run("key", "list", status=1).stderr
    postgres.sql("CREATE SCHEMA dipper AUTHORIZATION guest", name)
    guest.key()


def test_behind_a_pooler_sessions_stay_unchanged(accounts, postgres, tmp_path):
    """pgbouncer gives a session to another client after each transaction. So time-outs, the schema and prepared statements
    must end with the transaction."""
    name = accounts.url.rsplit("/", 1)[1]
    with pooler(postgres, tmp_path) as port:
        def other(text):
            return postgres.sql(text, name, port)

        pooled = Accounts(accounts.dipper, accounts.url.replace(f":{postgres.port}/", f":{port}/"))
        settings = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "search_path")
        before = [other(f"SHOW {s}") for s in settings]
        key = pooled.key("ada@example.org", "--tier", "scale")["key"]
        with pooled.serve(tmp_path, "--log-format", "off") as node:
            for _ in range(20):
                assert node.embed(key)[0] == 200
                assert [other(f"SHOW {s}") for s in settings] == before
            wait_for(lambda: pooled.used() == 20, "the usage")
            pooled.key("bob@example.org")
            assert node.embed(key[:-1] + ("0" if key[-1] != "0" else "1"))[0] == 401
        assert [other(f"SHOW {s}") for s in settings] == before
        assert other("SELECT COUNT(*) FROM pg_prepared_statements") == "0"


def test_clients_at_the_edge_of_two_servers_never_overrun(accounts, tmp_path):
    limit, batch = 600, 16
    key = accounts.key("ada@example.org", "--tier", "pro")["key"]
    arguments = ["--pro-limit", limit, "--pro-requests", 0, "--quota-batch", batch, "--log-format", "off"]
    with accounts.serve(tmp_path, *arguments) as one, accounts.serve(tmp_path, *arguments) as two:
        used = clients_at_the_edge([one, two], key, 64)
        assert limit - 2 * batch - 64 <= used <= limit
    assert accounts.used() == used


def test_the_pool_grows_under_load_and_no_further(accounts, postgres, tmp_path):
    """Each request has a new key, so that it must query the database."""
    name = accounts.url.rsplit("/", 1)[1]
    accounts.key()
    with accounts.serve(tmp_path, "--database-pool-min", 2, "--database-pool-max", 3, "--log-format", "off") as node:
        open_now = 'dipper_database_connections{state="open"}'
        wait_for(lambda: node.metric(open_now) == 2, "the least number of connections")
        seen, stop = [], threading.Event()

        def ask(number):
            for i in range(100000):
                if stop.is_set():
                    return
                assert node.embed(f"fe_{number:02x}{i:06x}" + "0" * 56)[0] in (401, 503)

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
        for thread in threads:
            thread.start()

        def grown():
            seen.append(int(postgres.sql(f"SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{name}' AND "
                                         "application_name = 'dipper'")))
            return node.metric(open_now) == 3

        wait_for(grown, "the greatest number of connections")
        for _ in range(10):
            grown()
        stop.set()
        for thread in threads:
            thread.join()
        assert max(seen) <= 3


class Load:
    """Threads that embed with a key until end(). `answers` has the status, message and time of each request."""

    def __init__(self, node, key, threads=4):
        self.node, self.key, self.answers, self.stop = node, key, [], threading.Event()
        self.threads = [threading.Thread(target=self.go) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def go(self):
        while not self.stop.is_set():
            began = time.monotonic()
            status, _, body = self.node.embed(self.key)
            self.answers.append((status, body.get("message", ""), time.monotonic() - began))

    def wait(self, count, *statuses):
        """Waits for `count` more answers. Each must have one of these statuses."""
        at = len(self.answers)
        wait_for(lambda: len(self.answers) >= at + count, "answers")
        assert {answer[0] for answer in self.answers[at:]} <= set(statuses), self.answers[at:][-5:]

    def wait_for_status(self, status):
        at = len(self.answers)
        wait_for(lambda: any(answer[0] == status for answer in self.answers[at:]), f"an answer with status {status}")

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        return [answer[0] for answer in self.answers].count(200)


ARGUMENTS = ["--scale-requests", 0, "--quota-batch", 20, "--log-format", "off", "--database-timeout", "1s"]


@pytest.mark.parametrize("immediately", [False, True], ids=["stopped", "crashed"])
def test_without_its_database_a_server_fails_closed(accounts, postgres, tmp_path, immediately):
    key = accounts.key("ada@example.org", "--tier", "scale")["key"]
    with accounts.serve(tmp_path, *ARGUMENTS) as node:
        load = Load(node, key)
        load.wait(50, 200)
        postgres.stop(immediately)
        load.wait_for_status(503)  # the server has used up its lease
        load.wait(50, 503)
        assert all("database" in answer[1] for answer in load.answers if answer[0] == 503)
        postgres.start()
        load.wait_for_status(200)
        load.wait(50, 200)
        good = load.end()
        wait_for(lambda: accounts.used() == good, "the usage")  # no usage was lost or counted twice


def test_a_server_that_fails_open_goes_on_without_its_database(accounts, postgres, tmp_path):
    key = accounts.key("ada@example.org", "--tier", "scale")["key"]
    stranger = accounts.key("bob@example.org", "--tier", "scale")["key"]
    with accounts.serve(tmp_path, "--accounts-fail-open", *ARGUMENTS) as node:
        load = Load(node, key)
        load.wait(50, 200)
        postgres.stop()
        load.wait(300, 200)  # many times the lease
        assert node.embed(stranger)[0] == 503  # the server cannot check a key that is not in memory
        assert node.embed("fe_" + "0" * 64)[0] in (401, 503)
        postgres.start()
        good = load.end()
        wait_for(lambda: accounts.used() == good, "the usage")
        wait_for(lambda: node.embed(stranger)[0] == 200, "the other key")
