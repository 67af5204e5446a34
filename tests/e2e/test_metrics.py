"""/metrics as Prometheus reads it: requests move each metric by the right amount, both names of a metric have equal values,
and the metrics of the dashboard and the documentation exist."""
import json
import re
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving import get, make_root, serving

ALIASES = {"fastembed_requests": "dipper_embed_requests",
           "fastembed_request_latency_seconds": "dipper_embed_request_seconds",
           "fastembed_inference_latency_seconds": "dipper_inference_seconds",
           "fastembed_cache_hits": "dipper_embed_cache_hits", "fastembed_cache_misses": "dipper_embed_cache_misses",
           "fastembed_token_count": "dipper_text_tokens", "fastembed_errors": "dipper_embed_errors",
           "fastembed_rate_limit_exceeded": "dipper_rate_limit_exceeded"}


def scrape(url):
    """Returns {name of family: Metric}. No family and no sample may occur twice."""
    text = get(f"{url}/metrics")[2].decode()
    families = list(text_string_to_metric_families(text))
    samples = [(s.name, tuple(sorted(s.labels.items()))) for f in families for s in f.samples]
    assert len({f.name for f in families}) == len(families) and len(set(samples)) == len(samples)
    return {f.name: f for f in families}


def value(families, name, **labels):
    """Returns the sum of the samples that have this name and these labels."""
    found = [s.value for f in families.values() for s in f.samples
             if s.name == name and labels.items() <= s.labels.items()]
    assert found, f"no {name} {labels}"
    return sum(found)


def post(url, path, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, data), timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def url(dipper, tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics")
    with serving(dipper, make_root(dipper, folder)) as address:
        yield address


@pytest.fixture(scope="module")
def everything(dipper, tmp_path_factory):
    """A scrape of a server with all parts: a remote root, keys, both tiers of the cache. It contacts none of them."""
    folder = tmp_path_factory.mktemp("everything")
    env = {"DATABASE_URL": f"sqlite://{folder}/accounts.db", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
           "REDIS_URL": "redis://127.0.0.1:9"}
    with serving(dipper, "s3://bucket/prefix", "--s3-endpoint-url", "http://127.0.0.1:9", "--auth", env=env) as address:
        yield scrape(address)


class Moves:
    """Remembers the value of each metric; moved(…) returns how much it has grown since."""

    def __init__(self, url):
        self.url, self.before, self.now = url, scrape(url), None

    def look(self):
        self.now = scrape(self.url)
        return self

    def moved(self, name, **labels):
        return value(self.now, name, **labels) - value(self.before, name, **labels)

    def until(self, name, by, **labels):
        """Waits until a metric has grown by `by`. The server counts an answer only after it was sent."""
        deadline = time.monotonic() + 60
        while self.look().moved(name, **labels) < by:
            assert time.monotonic() < deadline, f"{name} has not moved"
        return self


def test_requests_for_embeddings(url):
    m = Moves(url)
    assert post(url, "/v1/embed", {"text": "a metric of its own"})[1]["cached"] is False
    assert post(url, "/v1/embed", {"text": "a metric of its own"})[1]["cached"] is True
    assert post(url, "/v1/embed/batch", {"texts": ["one more metric", "a metric of its own"]})[1]["cached"] is False
    assert post(url, "/v1/embeddings", {"model": "nobody's", "input": "x"})[0] == 404
    assert post(url, "/v1/embed", b"{")[0] == 400
    assert post(url, "/v1/embed", {"text": "long " * 999, "truncate": False})[1]["error"] == "text_too_long"
    m.until("fastembed_request_latency_seconds_count", 6)
    for prefix in ("fastembed", "dipper_embed"):
        assert m.moved(f"{prefix}_requests_total") == 6
        assert m.moved(f"{prefix}_requests_total", status="200", cached="false") == 2
        assert m.moved(f"{prefix}_requests_total", status="200", cached="true") == 1
        assert m.moved(f"{prefix}_requests_total", status="400", cached="false") == 2
        assert m.moved(f"{prefix}_requests_total", status="404", cached="false") == 1
        assert m.moved(f"{prefix}_errors_total") == 3
        assert m.moved(f"{prefix}_errors_total", error_type="text_too_long") == 1
        assert m.moved(f"{prefix}_errors_total", error_type="model_not_found") == 1
        assert m.moved(f"{prefix}_errors_total", error_type="invalid_request") == 1
        assert m.moved(f"{prefix}_cache_hits_total", cache_level="l1") == 2
        assert m.moved(f"{prefix}_cache_hits_total", cache_level="l2") == 0
    assert m.moved("fastembed_inference_latency_seconds_count") == 2
    assert m.moved("fastembed_inference_latency_seconds_sum") > 0
    assert m.moved("fastembed_token_count_count") == 4 == m.moved("dipper_embedded_texts_total")
    assert m.moved("fastembed_token_count_sum") == m.moved("dipper_embedded_tokens_total") > 4 * 3
    assert m.moved("dipper_batch_texts_sum") == 2 == m.moved("dipper_batch_texts_count")
    assert m.moved("dipper_batch_jobs_total") == 2
    assert m.moved("dipper_embed_cache_entries") == 2
    assert m.moved("dipper_http_requests_total", route="/v1/embed") == 4
    assert m.moved("dipper_http_request_bytes_total") > 5000 and m.moved("dipper_http_response_bytes_total") > 4000


def test_writes(url):
    m = Moves(url)
    rows = [{"id": i, "vector": [1, i]} for i in range(3)]
    assert post(url, "/v2/namespaces/counted", {"upsert_rows": rows, "distance_metric": "cosine_distance"})[0] == 200
    assert post(url, "/v2/namespaces/counted", {"patch_rows": [{"id": 0, "a": 1}, {"id": 9, "a": 1}], "deletes": [1]})[0] == 200
    assert post(url, "/v2/namespaces/counted", {"deletes": ["x"]})[0] == 400
    m.until("dipper_http_requests_total", 3, route="/v2/namespaces/{ns}")
    assert m.moved("dipper_writes_total", status="ok") == 2 and m.moved("dipper_writes_total", status="error") == 1
    assert m.moved("dipper_written_rows_total") == 5 and m.moved("dipper_write_seconds_count") == 3


def test_searches_and_the_store(url):
    m = Moves(url)
    query = {"rank_by": ["vector", "ANN", ["Embed", "find out what fills the disk"]], "top_k": 2}
    assert len(post(url, "/v2/namespaces/packages/query", query)[1]["rows"]) == 2
    assert post(url, "/v2/namespaces/nowhere/query", query)[0] == 404
    assert json.loads(get(f"{url}/v1/namespaces")[2])["namespaces"]
    m.until("dipper_http_requests_total", 1, route="/v1/namespaces", status="ok")
    m.until("dipper_http_requests_total", 2, route="/v2/namespaces/{ns}/query")
    assert m.moved("dipper_queries_total", status="ok") == 1 == m.moved("dipper_queries_total", status="error")
    assert m.moved("dipper_query_seconds_count") == 2
    assert m.moved("dipper_store_operations_total", operation="read", status="ok") >= 3
    # The second listing is for the error about a missing namespace, which names the existing ones.
    assert m.moved("dipper_store_operations_total", operation="list", status="ok") == 2
    assert m.moved("dipper_store_operations_total", status="error") == 0
    assert m.moved("dipper_store_operation_seconds_count") == m.moved("dipper_store_operations_total")
    assert m.moved("dipper_store_operation_bytes_total", operation="read") >= m.moved("dipper_store_read_bytes_total") > 0
    assert m.moved("dipper_request_queued_total") == 3 == m.moved("dipper_request_queue_seconds_count")


def test_both_names_of_a_metric_have_equal_values(url):
    families = scrape(url)
    for alias, name in ALIASES.items():
        if name not in families and name == "dipper_rate_limit_exceeded":
            continue # this server has no accounts
        one, other = families[alias], families[name]
        assert (one.type, one.documentation) == (other.type, other.documentation)
        assert ([(s.name.removeprefix(alias), s.labels, s.value) for s in one.samples]
                == [(s.name.removeprefix(name), s.labels, s.value) for s in other.samples])


def test_a_full_server_has_every_alias(everything):
    assert ALIASES.keys() | set(ALIASES.values()) <= everything.keys()
    assert {s.labels["tier"] for s in everything["fastembed_rate_limit_exceeded"].samples} == {"free", "pro", "scale"}


def test_buckets_add_up(url):
    for family in scrape(url).values():
        if family.type != "histogram":
            continue
        of_labels = {}
        for s in family.samples:
            rest = tuple(sorted((k, v) for k, v in s.labels.items() if k != "le"))
            of_labels.setdefault(rest, {}).setdefault(s.name.removeprefix(family.name), []).append(s)
        for parts in of_labels.values():
            counts = [s.value for s in parts["_bucket"]]
            bounds = [float(s.labels["le"]) for s in parts["_bucket"]]
            assert counts == sorted(counts) and bounds == sorted(bounds) and bounds[-1] == float("inf")
            assert counts[-1] == parts["_count"][0].value


def test_metrics_of_the_process_are_plausible(url):
    families = scrape(url)
    assert value(families, "process_resident_memory_bytes") < value(families, "process_virtual_memory_bytes")
    assert 3 < value(families, "process_open_fds") <= value(families, "process_max_fds")
    assert value(families, "process_threads") >= value(families, "dipper_compute_threads") >= 1
    assert abs(value(families, "process_start_time_seconds") - time.time()) < 3600
    assert value(families, "process_cpu_seconds_total") > 0
    assert value(families, "dipper_build_info") == 1 == value(families, "dipper_model_info")
    assert value(families, "dipper_http_requests_in_flight") == 1 <= value(families, "dipper_http_connections")
    assert value(families, "dipper_request_threads_busy") == 0 == value(families, "dipper_request_queue")


def test_the_dashboard_uses_only_existing_metrics(source, everything):
    """Each name and label of an expression occurs in a scrape or is a word of PromQL."""
    names, labels = set(), {}
    for family in everything.values():
        for s in family.samples:
            names.add(s.name)
            labels.setdefault(s.name, set()).update(s.labels)
    words = {"rate", "increase", "sum", "by", "without", "histogram_quantile", "le", "clamp_min", "max", "min", "on",
             "group_left", "time", "avg", "ignoring", "vector", "or"}
    dashboard = json.loads((source / "examples/grafana/dipper.json").read_text(encoding="utf-8"))
    expressions = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
    assert len(expressions) >= 20
    for expression in expressions:
        used = re.findall(r"\b((?:dipper|fastembed|process)_\w+)(?:\{([^}]*)\})?", expression)
        assert used, expression
        for name, matchers in used:
            assert name in names, f"{expression}: there is no {name}"
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
                assert label in labels[name] or label in ("job", "instance"), f"{expression}: {name} has no {label}"
        grouped = {g.strip() for by in re.findall(r"\bby\s*\(([^)]*)\)", expression) for g in by.split(",")}
        assert grouped <= set().union(*(labels[name] for name, _ in used)) | {"instance"}, expression
        plain = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", expression)
        assert {w for w in re.findall(r"[a-z_]\w*", plain)} <= words | names | grouped, expression


def test_the_documentation_lists_every_metric(source, everything):
    text = (source / "docs/internals/observability.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `((?:dipper|process)_\w+)", text, re.M))
    there = {f.name + ("_total" if f.type == "counter" else "") for f in everything.values()
             if not f.name.startswith("fastembed_")}
    assert listed == there, (listed - there, there - listed)
    for family in everything.values():
        if not family.name.startswith("fastembed_"):
            assert family.documentation in text, f"{family.name}: {family.documentation}"
    for alias in ALIASES:
        assert f"`{alias}" in text
