"""Calls a server through LangChain's vector store for turbopuffer: python calls.py URL. Prints "ok" at the end."""
import sys
import warnings

from langchain_core.embeddings import Embeddings
from langchain_turbopuffer import TurbopufferVectorStore
from turbopuffer import NotFoundError, Turbopuffer

WORDS = ("train", "sea", "cat")


class CountedWords(Embeddings):
    """Embeds a text as the counts of three words, each plus 0.1, so that no vector is zero."""

    def embed_documents(self, texts):
        return [[text.count(word) + 0.1 for word in WORDS] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


def contents(documents):
    return [document.page_content for document in documents]


def call(url, metric):
    namespace = Turbopuffer(base_url=url, api_key="none", max_retries=0).namespace(f"langchain-{metric}")
    texts = ["a train by night", "cats at sea, the sea", "a cat on the train"]
    metadatas = [{"year": 1959, "vector": "kept"}, {"year": 2016, "tags": ["sea", "cat"]}, {"year": 1996}]
    store = TurbopufferVectorStore.from_texts(texts, CountedWords(), metadatas, ids=["a", "b", "c"], namespace=namespace,
                                              distance_metric=metric)
    assert contents(store.similarity_search("train", k=1)) == [texts[0]]
    found = store.similarity_search_with_score("the sea", k=2, filters=("year", "Gt", 1990))
    assert [document.id for document, _ in found] == ["b", "c"] and found[0][1] <= found[1][1]
    assert found[0][0].metadata == {"year": 2016, "tags": ["sea", "cat"]}
    assert contents(store.similarity_search_by_vector([0.1, 0.1, 9.0], k=1)) == [texts[2]]
    assert store.as_retriever(search_kwargs={"k": 1}).invoke("sea")[0].id == "b"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangChain computes scores outside [0, 1] from squared distances
        assert len(store.similarity_search_with_relevance_scores("train", k=3)) == 3
    # get_by_ids sends a filter and a limit, and no rank_by
    assert contents(store.get_by_ids(["c", "a", "none"])) == [texts[0], texts[2]]
    assert store.get_by_ids(["a"])[0].metadata == {"year": 1959, "vector": "kept"}
    made = store.add_texts(["more trains: train, train"])
    assert len(made) == 1 and made[0] in [document.id for document in store.similarity_search("train, train, train", k=1)]
    assert store.delete(made) and contents(store.get_by_ids(made)) == []
    assert store.delete()
    try:
        store.get_by_ids(["a"])
        raise AssertionError("the namespace is still there")
    except NotFoundError:
        pass


if __name__ == "__main__":
    for each in ("cosine_distance", "euclidean_squared"):
        call(sys.argv[1], each)
    print("ok")
