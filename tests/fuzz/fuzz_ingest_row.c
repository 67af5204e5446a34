/* fuzz_ingest_row.c: any bytes as a line of an ingested stream. An accepted row has an id, attributes that are
 * valid JSON, and no empty text or vector. */
#include <stdlib.h>

#include "base/json.h"
#include "service/ingest_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ingest_row row = {.line = 1};
    struct dp_error error;
    struct buffer scratch;
    struct arena arena;
    struct json_reader r;
    arena_init(&arena, 1 << 28);
    buffer_init(&scratch, 1 << 28);
    if (ingest_row_parse(span_of(data, size), &arena, &scratch, &row, &error) == DP_OK) {
        json_reader_init(&r, row.attributes);
        if (!json_skip(&r) || !json_end(&r) || (row.text.data && !row.text.len) || (row.vector && !row.dim) ||
            (row.id.is_string && !row.id.text.len))
            abort();
    }
    buffer_deinit(&scratch);
    arena_deinit(&arena);
    return 0;
}
