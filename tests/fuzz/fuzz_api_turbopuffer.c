/* fuzz_api_turbopuffer.c: any bytes as the body of a query. Behind a '?', they are the query string of the list of
 * namespaces; behind a '!', the body of a write; behind '~' a schema, behind '=' metadata, behind '%' a measurement
 * of recall. */
#include "api_fuzz.h"

#include <assert.h>

#include "api/turbopuffer_write.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parses a write, and looks at every byte that the rows point to. */
static void parse_write(struct span body)
{
    struct turbopuffer_write parsed;
    struct arena arena;
    struct call call;
    bool malformed;
    size_t values = 0;
    double sum = 0;
    arena_init(&arena, 1 << 28);
    call_init(&call, &arena);
    enum dp_status status = turbopuffer_parse_write(&call, body, &parsed, &malformed);
    assert(status == DP_OK || call.error.message[0]);
    assert(!malformed || status == DP_INVALID);
    const struct write_request *w = &parsed.write;
    for (size_t i = 0; status == DP_OK && i < w->row_count; i++) {
        const struct write_row *row = &w->rows[i];
        for (uint32_t d = 0; d < row->dim; d++)
            sum += (double)row->vector[d];
        for (size_t v = 0; v < row->value_count; v++) {
            const struct write_value *value = &w->values[row->first_value + v];
            struct json_reader r;
            json_reader_init(&r, write_value_span(value));
            assert(value->attribute < w->attribute_count && json_skip(&r) && json_end(&r));
        }
        values += row->value_count;
    }
    assert(sum == sum && values <= body.len);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span none = span_of(NULL, 0), rest = span_of(data + (size > 0), size - (size > 0));
    switch (size ? data[0] : 0) {
    case '!':
        parse_write(rest);
        fuzz_ask(turbopuffer_write, "written", none, rest);
        fuzz_ask(turbopuffer_delete, "written", none, none);
        break;
    case '?': fuzz_ask(turbopuffer_namespaces, NULL, rest, none); break;
    case '~': fuzz_ask(turbopuffer_change_schema, "things", none, rest); break;
    case '=': fuzz_ask(turbopuffer_change_metadata, "things", none, rest); break;
    case '%': fuzz_ask(turbopuffer_recall, "things", none, rest); break;
    default:
        fuzz_ask(turbopuffer_explain, "things", none, span_of(data, size));
        fuzz_ask(turbopuffer_query, "things", none, span_of(data, size));
    }
    return 0;
}
