"""Embedding under load: what one client's bulk leaves to others, and what a time limit leaves of the work."""
import http.client
import json
import threading
import urllib.error
import urllib.request

import pytest

from serving import get, make_root, serving


@pytest.fixture(scope="module")
def root(dipper, tmp_path_factory):
    return make_root(dipper, tmp_path_factory.mktemp("shares"))


def embed(url, texts, **headers):
    """Returns the status and the answer of a batch."""
    request = urllib.request.Request(f"{url}/v1/embed/batch", data=json.dumps({"texts": texts}).encode(),
                                     headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def metric(url, name):
    lines = get(f"{url}/metrics")[2].decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split()[0] == name)


def long_texts(count, mark):
    return [f"{mark} {i} " + "the river runs by the old mill and the bridge " * 40 for i in range(count)]


def test_repetition_goes_on_after_a_time_limit(dipper, root):
    with serving(dipper, root, "--request-timeout", "1s", "--threads", "1") as url:
        for power in range(5, 12):  # find out how many texts are too many for this machine
            texts = long_texts(2 ** power, power)
            before = metric(url, "dipper_batch_texts_sum")
            status, answer = embed(url, texts)
            if status == 504:
                break
        else:
            pytest.skip("this machine embeds 2,048 long texts in a second")
        assert f"of {len(texts)} texts had their vectors" in answer["message"], answer
        tries = 1
        while status == 504 and tries < 60:
            status, answer = embed(url, texts)
            tries += 1
        assert status == 200 and len(answer["embeddings"]) == len(texts)
        assert metric(url, "dipper_batch_texts_sum") - before == len(texts), "each text is computed once"


def test_single_text_beside_bulk_gets_its_answer_first(dipper, root):
    with serving(dipper, root) as url:
        texts, ended = long_texts(300, "bulk"), threading.Event()
        bulk = threading.Thread(target=lambda: (embed(url, texts), ended.set()))
        bulk.start()
        while metric(url, "dipper_batch_texts_sum") == 0:
            pass
        for i in range(3):
            status, _ = embed(url, [f"a single question {i}"])
            assert status == 200
        assert not ended.is_set(), "three single texts waited for 300 long ones"
        bulk.join()


def test_client_that_leaves_takes_its_work_along(dipper, root):
    with serving(dipper, root) as url:
        body = json.dumps({"texts": long_texts(500, "left")})
        client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        client.request("POST", "/v1/embed/batch", body)
        while metric(url, "dipper_batch_texts_sum") == 0:
            pass
        client.close()
        assert embed(url, ["somebody else"])[0] == 200
        while metric(url, "dipper_http_requests_in_flight") > 1:
            pass
        assert metric(url, "dipper_embedder_waiting_tokens") == 0
        assert metric(url, "dipper_batch_texts_sum") < 400


def test_a_client_sets_its_time_limit(dipper, root):
    with serving(dipper, root) as url:
        status, answer = embed(url, long_texts(1000, "limit"), **{"X-Request-Timeout": "0.1"})
        assert status == 504
        assert "(the limit is 0.1 s: the header X-Request-Timeout)" in answer["message"], answer
        assert embed(url, ["fast enough"], **{"X-Request-Timeout": "60"})[0] == 200
        assert embed(url, ["wrong"], **{"X-Request-Timeout": "-1"})[0] == 400
