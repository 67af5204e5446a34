/* fuzz_vector_file.c: any bytes as .npy, .fvecs or .bvecs. Checked beyond memory safety: the numbers of an
 * accepted file fill it exactly; reading it row by row gives equal numbers; a copy that lacks the last byte is
 * refused. */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "vector/vector_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the head and then row after row, as for a file that does not fit in memory. */
static void read_by_rows(struct span bytes, const struct vector_file *file)
{
    struct vector_layout layout;
    struct span head = span_of(bytes.data, bytes.len < VECTOR_HEAD_MAX ? bytes.len : VECTOR_HEAD_MAX);
    assert(vector_layout_parse(head, bytes.len, "fuzz", &layout, NULL) == DP_OK);
    assert(layout.count == file->count && layout.dim == file->dim);
    float *row = mem_alloc(layout.dim * sizeof *row);
    for (size_t r = 0; layout.columns && row != NULL && r < file->count; r++) {
        for (size_t c = 0; c < layout.dim; c++) {
            struct span one;
            assert(span_sub(bytes, vector_layout_column_at(&layout, c, r), layout.size, &one));
            vector_layout_take_column(&layout, one, c, row);
        }
        assert(memcmp(row, file->values + r * file->dim, file->dim * sizeof *row) == 0);
    }
    for (size_t r = 0; !layout.columns && row != NULL && r < file->count; r++) {
        struct span one;
        assert(span_sub(bytes, layout.begin + r * layout.row_bytes, layout.row_bytes, &one));
        assert(vector_layout_take(&layout, one, r, "fuzz", row, NULL) == DP_OK);
        assert(memcmp(row, file->values + r * file->dim, file->dim * sizeof *row) == 0);
    }
    mem_free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vector_file file;
    struct dp_error error = {0};
    struct vector_layout layout;
    int64_t *ids;
    size_t count;
    /* The head of a file that claims to be longer than it is. */
    if (vector_layout_parse(span_of(data, size), (uint64_t)size * 1000003, "fuzz", &layout, NULL) == DP_OK)
        assert(layout.begin + layout.count * layout.row_bytes == (uint64_t)size * 1000003);
    if (vector_ids_parse(span_of(data, size), "fuzz", &ids, &count, NULL) == DP_OK)
        assert(count <= size);
    mem_free(ids);
    enum dp_status status = vector_file_parse(span_of(data, size), "fuzz", &file, &error);
    assert(status == error.status);
    assert((status == DP_OK) == (file.values != NULL));
    if (status == DP_OK) {
        assert(file.dim > 0 && file.count * file.dim <= size);
        read_by_rows(span_of(data, size), &file);
        if (file.count > 0) {
            struct vector_file shorter;
            bool npy = data[0] == 0x93; /* without its last byte, an .fvecs may be a whole .bvecs */
            enum dp_status cut = vector_file_parse(span_of(data, size - 1), "fuzz", &shorter, NULL);
            assert(cut == DP_INVALID || (cut == DP_OK && !npy));
            vector_file_deinit(&shorter);
        }
    }
    vector_file_deinit(&file);
    return 0;
}
