/* test_recall.c: the table of recall: its bytes, refusals, finding an nprobe, and its URL. */
#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "faiss/recall.h"

#define HEAD "{\"format\":\"dipper-recall\",\"version\":1,\"file_bytes\":77,\"fingerprint\":\"00000000deadbeef\","

static void refuse(const char *json, enum dp_status status, const char *says)
{
    struct recall_table table;
    struct dp_error error = {0};
    assert_int_equal(recall_parse(span_str(json), &table, &error), status);
    assert_int_equal(error.status, status);
    if (strstr(error.message, says) == NULL)
        fail_msg("%s", error.message);
    assert_int_equal(recall_parse(span_str(json), &table, NULL), status);
}

static void test_faiss_recall_is_read_and_written(void **state)
{
    (void)state;
    struct recall_table table, again;
    struct buffer out;
    const char *json = HEAD "\"k\":10,\"queries\":400,\"points\":[{\"nprobe\":1,\"recall\":0.5},"
                            "{\"nprobe\":3,\"recall\":0.75},{\"nprobe\":64,\"recall\":0.992}]}\n";
    assert_int_equal(recall_parse(span_str(json), &table, NULL), DP_OK);
    assert_int_equal(table.file_bytes, 77);
    assert_int_equal(table.fingerprint, 0xdeadbeef);
    assert_int_equal(table.count, 3);
    buffer_init(&out, RECALL_BYTES_MAX);
    recall_write(&table, &out);
    assert_true(span_equal_str(buffer_span(&out), json));
    assert_int_equal(recall_parse(buffer_span(&out), &again, NULL), DP_OK);
    assert_memory_equal(&table, &again, sizeof table);
    buffer_deinit(&out);
    /* The largest table fits. */
    table.count = RECALL_POINTS_MAX;
    for (size_t i = 0; i < RECALL_POINTS_MAX; i++)
        table.points[i] = (struct recall_point){UINT64_MAX - RECALL_POINTS_MAX + i, 0.12345678901234567};
    buffer_init(&out, RECALL_BYTES_MAX);
    recall_write(&table, &out);
    assert_int_equal(recall_parse(buffer_span(&out), &again, NULL), DP_OK);
    assert_memory_equal(&table, &again, sizeof table);
    buffer_deinit(&out);
}

static void test_faiss_recall_refuses(void **state)
{
    (void)state;
    struct buffer many;
    refuse("", DP_CORRUPT, "byte 0");
    refuse("[1]", DP_CORRUPT, "object");
    refuse("{}", DP_CORRUPT, "\"format\" is not");
    refuse("{\"format\":\"dipper-recall\",\"version\":2}", DP_UNSUPPORTED, "version 2");
    refuse("{\"format\":\"dipper-recall\",\"version\":1}", DP_CORRUPT, "the table is empty");
    refuse("{\"fingerprint\":\"00000000DEADBEEF\"}", DP_CORRUPT, "hexadecimal");
    refuse("{\"fingerprint\":\"0\"}", DP_CORRUPT, "hexadecimal");
    refuse(HEAD "\"k\":10,\"queries\":4,\"points\":[{\"nprobe\":1}]}", DP_CORRUPT, "a point needs");
    refuse(HEAD "\"k\":10,\"queries\":4,\"points\":[{\"nprobe\":0,\"recall\":1}]}", DP_CORRUPT, "a point needs");
    refuse(HEAD "\"k\":10,\"queries\":4,\"points\":[{\"nprobe\":2,\"recall\":1.5}]}", DP_CORRUPT, "a point needs");
    refuse(HEAD "\"points\":[{\"nprobe\":2,\"recall\":0.1},{\"nprobe\":2,\"recall\":0.2}]}", DP_CORRUPT, "rising");
    refuse(HEAD "\"k\":10,\"queries\":4,\"points\":[{\"nprobe\":2,\"recall\":0.1}]} x", DP_CORRUPT, "byte");
    buffer_init(&many, 1 << 20);
    buffer_append_str(&many, HEAD "\"k\":10,\"queries\":4,\"points\":[");
    for (int i = 1; i <= RECALL_POINTS_MAX + 1; i++)
        buffer_printf(&many, "%s{\"nprobe\":%d,\"recall\":0.5}", i > 1 ? "," : "", i);
    buffer_append(&many, span_of("]}", 3));
    refuse((const char *)many.data, DP_CORRUPT, "more than 128 points");
    buffer_deinit(&many);
}

static void test_faiss_recall_answers_the_smallest_nprobe(void **state)
{
    (void)state;
    struct dp_error error;
    /* With compressed codes recall may fall a little as nprobe rises. */
    const struct recall_table table = {.count = 4, .points = {{1, 0.4}, {2, 0.9}, {4, 0.89}, {8, 0.95}}};
    size_t nprobe;
    assert_int_equal(recall_nprobe(&table, 0.1, &nprobe, NULL), DP_OK);
    assert_int_equal(nprobe, 1);
    assert_int_equal(recall_nprobe(&table, 0.9, &nprobe, NULL), DP_OK);
    assert_int_equal(nprobe, 2);
    assert_int_equal(recall_nprobe(&table, 0.901, &nprobe, NULL), DP_OK);
    assert_int_equal(nprobe, 8);
    assert_int_equal(recall_nprobe(&table, 0.951, &nprobe, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "0.9500"));
}

static void test_faiss_recall_lies_beside_the_file(void **state)
{
    (void)state;
    static const struct {
        const char *url, *beside;
    } cases[] = {{"a/b.ivf", "a/b.ivf.recall.json"},
                 {"s3://bucket/b?.ivf", "s3://bucket/b?.ivf.recall.json"},
                 {"https://host/b.ivf", "https://host/b.ivf.recall.json"},
                 {"https://host/b.ivf?X-Amz-Signature=secret", NULL},
                 {"http://host/b.ivf#x", NULL}};
    struct arena arena;
    struct call call;
    struct span beside;
    arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        call_init(&call, &arena);
        enum dp_status status = recall_url(&call, span_str(cases[i].url), &beside);
        assert_int_equal(status, cases[i].beside ? DP_OK : DP_INVALID);
        assert_true(!cases[i].beside || span_equal_str(beside, cases[i].beside));
        assert_null(strstr(call.error.message, "secret"));
    }
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faiss_recall_is_read_and_written),
        cmocka_unit_test(test_faiss_recall_refuses),
        cmocka_unit_test(test_faiss_recall_answers_the_smallest_nprobe),
        cmocka_unit_test(test_faiss_recall_lies_beside_the_file),
    };
    return test_run(tests);
}
