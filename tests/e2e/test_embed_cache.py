"""The embedding cache as clients and operators see it: in memory, and in Debian's own Redis."""
import array
import base64
import concurrent.futures
import json
import signal
import threading
import urllib.request

import openai
import pytest

from redis_server import redis_servers, until
from serving import get, make_root, serving

TEXTS = [f"the {thing} of the {place}" for thing in ("light", "colour", "weather", "sound", "price", "history")
         for place in ("harbour", "mountains", "market", "desert", "library", "orchard", "railway", "moon")]


@pytest.fixture(scope="module")
def root(dipper, tmp_path_factory):
    return make_root(dipper, tmp_path_factory.mktemp("cache"))


def post(url, path, **body):
    request = urllib.request.Request(url + path, data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def embed(url, text):
    return post(url, "/v1/embed", text=text)


def metric(url, name):
    lines = get(f"{url}/metrics")[2].decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split()[0] == name)


def hits(url, level):
    lines = get(f"{url}/metrics")[2].decode().splitlines()
    return next(float(line.split()[-1]) for line in lines
                if line.startswith(f'dipper_embed_cache_hits_total{{cache_level="{level}"}}'))


def test_second_answer_is_cached_and_equal(dipper, root):
    with serving(dipper, root, "--model-alias", "text-embedding-3-small, ada") as url:
        first, second, third = (embed(url, "keep two folders in sync") for _ in range(3))
        assert [a["cached"] for a in (first, second, third)] == [False, True, True]
        assert first["embedding"] == second["embedding"] == third["embedding"]
        assert set(first) == {"embedding", "model", "tokens", "cached", "latency_ms"}
        assert first["tokens"] == second["tokens"]
        assert not post(url, "/v1/embed", text="keep two folders in sync", normalize=True)["cached"]
        batch = post(url, "/v1/embed/batch", texts=["keep two folders in sync", "something new"])
        assert not batch["cached"] and batch["embeddings"][0] == first["embedding"]
        assert hits(url, "l1") == 3 and metric(url, "dipper_embed_cache_misses_total") == 3

        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        answers = [client.embeddings.create(model=model, input=["one", "two"], encoding_format=form)
                   for model in ("text-embedding-3-small", "ada") for form in ("float", "base64")]
        numbers = [[v if isinstance(v := d.embedding, list) else list(array.array("f", base64.b64decode(v)))
                    for d in a.data] for a in answers]
        assert len({json.dumps(array.array("f", v).tolist()) for a in numbers for v in a}) == 2
        assert {a.usage.total_tokens for a in answers} == {6}
        with pytest.raises(openai.NotFoundError) as refused:
            client.embeddings.create(model="text-embedding-3-large", input="one")
        assert refused.value.code == "model_not_found" and refused.value.param == "model"


def test_openai_inputs_without_a_cache_and_with_one(dipper, root):
    """The cache does not change the numbers."""
    seen = []
    for size in ("0", "100"):
        with serving(dipper, root, "--l1-cache-size", size, "--allow-token-input") as url:
            client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
            for _ in range(3):
                answer = client.embeddings.create(model="all-MiniLM-L6-v2", input=[[7592, 2088], [7592]], dimensions=64)
                seen.append([d.embedding for d in answer.data])
                assert [len(v) for v in seen[-1]] == [64, 64]
            assert (metric(url, "dipper_embed_cache_misses_total") == 6) == (size == "0")
    assert all(vectors == seen[0] for vectors in seen)


@pytest.mark.parametrize("url, says", [
    ("rediss://:s3cret@localhost", "no TLS"),
    ("redis://:s3cret@", "the host"),
    ("redis://a,redis://:s3cret@a", "the same"),
    ("http://:s3cret@a", "redis://"),
])
def test_urls_that_are_refused_show_no_password(run, root, url, says):
    done = run("serve", "--root", root, "--listen", "127.0.0.1:0", "--redis-url", url, status=None)
    assert done.returncode != 0 and says in done.stderr and "s3cret" not in done.stderr
    shown = run("config", env={"REDIS_URL": url}).stdout
    assert "s3cret" not in shown and "embed_cache.redis_url" in shown


@pytest.mark.daemon
def test_redis_holds_raw_vectors_for_a_day(dipper, root, tmp_path):
    with redis_servers(1, tmp_path) as (redis,):
        with serving(dipper, root, "--redis-url", redis.url) as url:
            fresh = {text: embed(url, text) for text in TEXTS[:8]}
            until(lambda: len(redis.keys()) == 8)
            for key in redis.keys():
                assert int(redis.cli("STRLEN", key)) == 1536
                assert 86000 < int(redis.cli("TTL", key)) <= 86400
            values = {redis.cli("GET", key)[:1536] for key in redis.keys()}
            assert values == {array.array("f", answer["embedding"]).tobytes() for answer in fresh.values()}
            assert metric(url, "dipper_embed_cache_l2_written_total") == 8
        # A new server has an empty L1.
        with serving(dipper, root, "--redis-url", redis.url) as url:
            for text, answer in fresh.items():
                again = embed(url, text)
                assert again["cached"] and again["embedding"] == answer["embedding"]
                assert again["tokens"] == answer["tokens"]
            assert hits(url, "l2") == 8 and metric(url, "dipper_embed_cache_misses_total") == 0
            assert embed(url, TEXTS[0])["cached"] and hits(url, "l1") == 1
        # The server ignores values in Redis that cannot be vectors.
        for key, value in zip(redis.keys(), (b"", b"short", b"x" * 1535, b"x" * 1537, b"\xff" * 1536,
                                             b"\0\0\x80\x7f" * 384)):
            redis.cli("-x", "SET", key, input=value)
            assert int(redis.cli("STRLEN", key)) == len(value)
        redis.cli("DEL", redis.keys()[6])
        redis.cli("LPUSH", redis.keys()[6], "a list")
        with serving(dipper, root, "--redis-url", redis.url) as url:
            answers = {text: embed(url, text) for text in fresh}
            assert all(answers[text]["embedding"] == fresh[text]["embedding"] for text in fresh)
            assert 1 <= sum(a["cached"] for a in answers.values()) <= 2
            assert metric(url, "dipper_embed_cache_l2_bad_values_total") >= 6


@pytest.mark.daemon
def test_three_servers_share_the_keys(dipper, root, tmp_path):
    with redis_servers(3, tmp_path) as servers:
        urls = ",".join(server.url for server in servers)
        with serving(dipper, root, "--redis-url", urls, "--l2-cache-ttl", "1h") as url:
            fresh = post(url, "/v1/embed/batch", texts=TEXTS)
            until(lambda: sum(len(server.keys()) for server in servers) == len(TEXTS))
            shares = [len(server.keys()) for server in servers]
            assert all(share >= len(TEXTS) // 10 for share in shares), shares
            assert 3000 < int(servers[0].cli("TTL", servers[0].keys()[0])) <= 3600
        with serving(dipper, root, "--redis-url", urls) as url:
            again = post(url, "/v1/embed/batch", texts=TEXTS)
            assert again["cached"] and again["embeddings"] == fresh["embeddings"]
            assert hits(url, "l2") == len(TEXTS)
        servers[1].end()
        with serving(dipper, root, "--redis-url", urls) as url: # one Redis is down, so its vectors are computed
            again = post(url, "/v1/embed/batch", texts=TEXTS)
            assert again["embeddings"] == fresh["embeddings"]
            assert metric(url, "dipper_embed_cache_misses_total") == shares[1]


@pytest.mark.daemon
@pytest.mark.parametrize("count", [1, 3])
def test_redis_killed_and_restarted_amid_load(dipper, root, tmp_path, count):
    with redis_servers(count, tmp_path) as servers:
        urls = ",".join(server.url for server in servers)
        with serving(dipper, root, "--redis-url", urls, "--l1-cache-size", "0", "--log-format", "off") as url:
            expected = {text: embed(url, text)["embedding"] for text in TEXTS}
            until(lambda: all(embed(url, text)["cached"] for text in TEXTS))
            ending = threading.Event()

            def load(seed):
                asked = 0
                while not ending.is_set():
                    text = TEXTS[(seed + asked) % len(TEXTS)]
                    assert embed(url, text)["embedding"] == expected[text]
                    asked += 1
                return asked

            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                loads = [pool.submit(load, 12 * i) for i in range(4)]
                for _ in range(2):
                    for server in servers:
                        server.end(signal.SIGKILL)
                    missed = metric(url, "dipper_embed_cache_misses_total")
                    until(lambda: metric(url, "dipper_embed_cache_misses_total") > missed + 20)
                    for server in servers:
                        server.start()
                    until(lambda: all(embed(url, text)["cached"] for text in TEXTS))
                servers[0].process.send_signal(signal.SIGSTOP) # a Redis that hangs is worse than one that has ended
                missed = metric(url, "dipper_embed_cache_misses_total")
                until(lambda: metric(url, "dipper_embed_cache_misses_total") > missed + 20)
                servers[0].process.send_signal(signal.SIGCONT)
                until(lambda: all(embed(url, text)["cached"] for text in TEXTS))
                ending.set()
                assert all(done.result() > 0 for done in loads)
            assert metric(url, "dipper_embed_cache_l2_errors_total") >= 3


@pytest.mark.daemon
def test_redis_with_password_and_database(dipper, root, tmp_path, run):
    with redis_servers(1, tmp_path, "--requirepass", "pass/word") as (redis,):
        login = ("--no-auth-warning", "-a", "pass/word", "-n", "3")
        with serving(dipper, root, "--redis-url", f"redis://:pass%2Fword@127.0.0.1:{redis.port}/3") as url:
            embed(url, TEXTS[0])
            until(lambda: len(redis.keys(*login)) == 1)
        with serving(dipper, root, "--redis-url", f"redis://:wrong@127.0.0.1:{redis.port}/3") as url:
            assert not embed(url, TEXTS[0])["cached"]
            assert metric(url, "dipper_embed_cache_l2_errors_total") >= 1
        with serving(dipper, root, "--redis-url", f"redis://default:pass%2Fword@127.0.0.1:{redis.port}/3") as url:
            assert embed(url, TEXTS[0])["cached"]


@pytest.mark.daemon
def test_a_full_redis_is_still_read(dipper, root, tmp_path):
    """A full Redis answers writes with OOM. The server drops these writes, still reads, and does not count an error."""
    with redis_servers(1, tmp_path, "--maxmemory-policy", "noeviction") as (redis,):
        with serving(dipper, root, "--redis-url", redis.url, "--l1-cache-size", "0") as url:
            embed(url, TEXTS[0])
            until(lambda: len(redis.keys()) == 1)
            redis.cli("CONFIG", "SET", "maxmemory", "1")
            for text in TEXTS[1:7]:
                dropped = metric(url, "dipper_embed_cache_l2_dropped_total")
                assert not embed(url, text)["cached"]
                until(lambda: metric(url, "dipper_embed_cache_l2_dropped_total") > dropped)
                assert embed(url, TEXTS[0])["cached"]
            assert metric(url, "dipper_embed_cache_l2_errors_total") == 0
            redis.cli("CONFIG", "SET", "maxmemory", "0")
            until(lambda: embed(url, TEXTS[7])["cached"])
