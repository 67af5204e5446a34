/* test_compute_highlight.c: highlights when memory runs out. tests/e2e/test_compute_attributes.py asks a server for
 * them. */
#include "test_support.h"

#include "base/buffer.h"
#include "service/compute_highlight.h"

static void test_compute_highlight_survives_failed_allocations(void **state)
{
    (void)state;
    struct attribute attributes[] = {
        {.name = span_str("s"), .type = ATTRIBUTE_STRING, .options = span_str("{\"full_text_search\":true}")}};
    const struct schema schema = {.count = 1, .attributes = attributes};
    const struct query_request requests[] = {
        {.rank = QUERY_SCORED, .score = span_str("[\"s\",\"BM25\",\"fox dog\"]")}, {.rank = QUERY_ORDERED}};
    static const char *const rests[] = {
        "[{\"include_offsets\":\"utf-16\"}]",
        "[{\"rank_fragments_by\":[\"$fragment\",\"BM25\",\"do\",{\"last_as_prefix\":true}]}]"};
    static const char *const wanted[] = {
        "[{\"text\":\"A fox\\n.\",\"fragment_range\":[0,7],\"match_ranges\":[[2,5]]}]", "[{\"text\":\"Dogs!\"}]"};
    for (size_t i = 0; i < 4; i++) {
        for (size_t n = 1;; n++) {
            struct compute_highlight *highlight;
            struct json_reader r;
            struct json_writer w;
            struct buffer out;
            struct arena arena;
            struct call call;
            arena_init(&arena, 1 << 20);
            call_init(&call, &arena);
            buffer_init(&out, 1 << 16);
            json_writer_init(&w, &out);
            json_reader_init(&r, span_str(rests[i / 2]));
            json_enter_array(&r);
            test_alloc_fail_at(n);
            enum dp_status status =
                compute_highlight_read(&call, &requests[i % 2], &schema, attributes[0].name, &r, &highlight);
            if (status == DP_OK)
                status = compute_highlight_write(&call, highlight, span_str("{\"s\":\"A fox\\n. Dogs!\"}"), &w);
            if (status == DP_OK)
                status = buffer_check(&out, "fragments", &call.error);
            bool fired = test_alloc_fired();
            test_alloc_fail_at(0);
            assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
            assert_true(fired == (call.error.message[0] != 0));
            if (!fired && i != 1)
                assert_true(span_equal_str(buffer_span(&out), wanted[i / 2]));
            buffer_deinit(&out);
            arena_deinit(&arena);
            if (!fired)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compute_highlight_survives_failed_allocations),
    };
    return test_run(tests);
}
