/* fuzz_recall.c: any bytes as a table of recall. Checked beyond memory safety: an accepted table never
 * gives an nprobe of 0; a table that is written and read again is equal. */
#include <assert.h>
#include <string.h>

#include "faiss/recall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recall_table table, again;
    struct dp_error error = {0};
    struct buffer written;
    size_t nprobe = 0;
    enum dp_status status = recall_parse(span_of(data, size), &table, &error);
    assert(status == error.status);
    if (status != DP_OK)
        return 0;
    assert(table.count > 0 && table.count <= RECALL_POINTS_MAX);
    if (recall_nprobe(&table, 0.9, &nprobe, NULL) == DP_OK)
        assert(nprobe > 0);
    buffer_init(&written, RECALL_BYTES_MAX);
    recall_write(&table, &written);
    assert(buffer_check(&written, "a table", NULL) == DP_OK);
    assert(recall_parse(buffer_span(&written), &again, NULL) == DP_OK);
    assert(memcmp(&table, &again, sizeof table) == 0);
    buffer_deinit(&written);
    return 0;
}
