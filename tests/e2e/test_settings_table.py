"""Every setting of the table, through the program: at its default, from the file, the environment and a flag, and with a
value that is not allowed. `dipper config --json` lists the table, so these tests cover new settings at once."""
import json

import pytest

# A good value of each type, in the form in which it is shown.
OTHER = {"text": "other", "listen": "[fe80::1]:1234", "boolean": "true"}
# Good values of settings whose variables other programs use too: Dipper ignores values of any other form.
SHARED = {"server.host": "::1", "embed_cache.redis_url": "redis://h", "accounts.database_url": "sqlite:///a.db"}
UNIT = {"bytes": "B", "duration": "ms"}
FASTEMBED = {"HOST": "server.host", "PORT": "server.port", "WORKERS": "compute.threads", "MODEL_NAME": "model.name",
             "MODEL_PATH": "model.path", "MAX_TOKENS": "model.max_tokens", "L1_CACHE_SIZE": "embed_cache.vectors",
             "L2_CACHE_TTL": "embed_cache.ttl", "REDIS_URL": "embed_cache.redis_url",
             "DATABASE_URL": "accounts.database_url", "API_KEY_PREFIX": "accounts.key_prefix",
             "FREE_TIER_LIMIT": "accounts.free_limit", "PRO_TIER_LIMIT": "accounts.pro_limit",
             "SCALE_TIER_LIMIT": "accounts.scale_limit", "MAX_BATCH_SIZE": "limits.max_batch_size"}


@pytest.fixture
def shown(run):
    """shown(…): {name: setting in effect}, from `dipper config --json …`."""
    def go(*arguments, env=None):
        return {s["name"]: s for s in json.loads(run("config", "--json", *arguments, env=env).stdout)}

    return go


def good(setting):
    if setting["name"] in SHARED:
        return SHARED[setting["name"]]
    if setting["type"] == "choice":
        return next(c for c in setting["choices"] if c != setting["default"])
    if setting["type"] == "integer":
        return str(setting["min"] + 3)
    if setting["type"] in UNIT:
        return f"{setting['min'] + 7}{UNIT[setting['type']]}"
    return OTHER[setting["type"]]


def bad(setting):
    if setting["type"] in ("integer", "bytes", "duration"):
        return f"{setting['max'] + 1}{UNIT.get(setting['type'], '')}"
    return {"text": "x" * (setting["max"] + 1)}.get(setting["type"], "neither")


def toml(settings, value_of):
    def line(s):
        bare = s["type"] == "integer" or (s["type"] == "boolean" and value_of(s) in ("true", "false"))
        return f"{s['name']} = {value_of(s) if bare else json.dumps(value_of(s))}\n"
    return "".join(line(s) for s in settings if s["in_file"])


def alone(settings):
    """Returns the settings that can be set alone: not `config`, which names the file, nor `listen`, which sets host and port."""
    return [s for s in settings.values() if s["name"] not in ("config", "server.listen")]


def check(settings, told, origin_of):
    for s in settings:
        now = told[s["name"]]
        value = "(hidden)" if s["secret"] else good(s)
        assert (now["value"], now["origin"]) == (value, origin_of(s)), now


def test_every_setting_has_its_default(shown):
    told = shown(env={"HOME": ""})
    assert len(told) > 50
    for s in told.values():
        assert s["origin"] == "default" and s["value"] == s["default"], s


def test_every_setting_can_come_from_the_file(shown, tmp_path):
    settings = [s for s in alone(shown()) if s["in_file"]]
    text = toml(settings, good)
    (tmp_path / "cwd" / "dipper.toml").write_text(text)
    lines = {line.split(" = ")[0]: n for n, line in enumerate(text.splitlines(), 1)}
    check(settings, shown(), lambda s: f"dipper.toml, line {lines[s['name']]}")


@pytest.mark.parametrize("which", range(3))
def test_every_setting_can_come_from_each_of_its_variables(shown, which):
    settings = [s for s in alone(shown()) if which < len(s["variables"])]
    told = shown(env={s["variables"][which]: good(s) for s in settings})
    check(settings, told, lambda s: f"environment {s['variables'][which]}")


def test_every_setting_can_come_from_its_flag(shown):
    settings = [s for s in alone(shown()) if s["flag"]]
    check(settings, shown(*(f"{s['flag']}={good(s)}" for s in settings)), lambda s: s["flag"])


def test_every_setting_refuses_a_value_that_is_not_allowed(run, shown, tmp_path):
    """The error names the setting, the source of the value and the allowed values. It shows no secret."""
    def refused(setting, source, *arguments, env=None):
        first = run("config", *arguments, env=env, status=2).stderr.splitlines()[0]
        told = first.split(" is not allowed: it takes ")
        assert setting["name"] in told[0] and source in told[0], first
        assert setting["allowed"] == told[1], first
        assert not setting["secret"] or "xxx" not in first

    path = tmp_path / "cwd" / "dipper.toml"
    for n, s in enumerate(shown().values()): # tests/config tries each source of each setting
        if n % 3 == 0 and s["flag"] and s["name"] != "config":
            refused(s, s["flag"], f"{s['flag']}={bad(s)}")
        elif n % 3 == 1 and s["in_file"]:
            path.write_text(toml([s], bad))
            refused(s, "dipper.toml, line 1")
            path.unlink()
        elif s["name"] != "config":
            refused(s, s["variables"][0], env={s["variables"][0]: bad(s)})


def test_fastembeds_variables_are_accepted(shown):
    table = shown()
    for variable, name in FASTEMBED.items():
        setting = table[name]
        assert variable in setting["variables"]
        assert shown(env={variable: good(setting)})[name]["origin"] == f"environment {variable}"


def test_passwords_in_urls_are_never_shown(run, shown):
    urls = [s for s in shown().values() if s["secret_in_url"]]
    assert {"embed_cache.redis_url", "accounts.database_url"} <= {s["name"] for s in urls}
    for s in urls:
        env = {s["variables"][0]: "scheme://user:hunter2@host/path?password=hunter2"}
        for output in (run("config", env=env).stdout, json.dumps(shown(env=env))):
            assert "scheme://user:(hidden)@host" in output and "hunter2" not in output
