/* vector_input.c: reads blocks of a file of vectors. */
#include "faiss/vector_input.h"

#include <inttypes.h>

#include "base/alloc.h"

/* Maximum bytes of one read of numbers that are not plain float32. A longer row is still read in one piece. */
enum { PIECE_BYTES = 1 << 20 };

enum dp_status vector_input_open(struct call *call, const char *path, struct vector_input *out)
{
    uint8_t *head = mem_alloc(VECTOR_HEAD_MAX);
    *out = (struct vector_input){.file.fd = -1, .path = path};
    if (!head)
        return call_nomem(call, "a file of vectors");
    enum dp_status status = os_input_open(path, &out->file, &call->error);
    size_t len = out->file.size < VECTOR_HEAD_MAX ? (size_t)out->file.size : VECTOR_HEAD_MAX;
    if (status == DP_OK)
        status = os_input_read(&out->file, path, 0, head, len, &call->error);
    if (status == DP_OK)
        status = vector_layout_parse(span_of(head, len), out->file.size, path, &out->layout, &call->error);
    if (status == DP_OK && out->layout.one_dim)
        status =
            call_fail(call, DP_INVALID,
                      "%s: its shape is (%zu,), but must be (vectors, dimensions): numpy.save(…, x.reshape(-1, "
                      "DIMENSIONS))",
                      path, out->layout.dim);
    if (status == DP_OK && !vector_layout_is_plain(&out->layout)) {
        size_t row = out->layout.row_bytes;
        out->bytes = mem_alloc(row > PIECE_BYTES ? row : PIECE_BYTES);
        if (!out->bytes)
            status = call_nomem(call, "a file of vectors");
    }
    mem_free(head);
    if (status != DP_OK)
        vector_input_close(out);
    return status;
}

void vector_input_close(struct vector_input *input)
{
    os_input_close(&input->file);
    mem_free(input->bytes);
    input->bytes = NULL;
}

/* Reads and converts n rows from row `first` on, in pieces that fit into input->bytes. */
static enum dp_status read_pieces(struct call *call, struct vector_input *input, uint64_t first, size_t n,
                                  float *room)
{
    const struct vector_layout *layout = &input->layout;
    uint64_t begin = layout->begin + first * layout->row_bytes;
    size_t rows = layout->row_bytes < PIECE_BYTES ? PIECE_BYTES / layout->row_bytes : 1;
    enum dp_status status = DP_OK;
    for (size_t done = 0; status == DP_OK && done < n; done += rows) {
        size_t piece = n - done < rows ? n - done : rows, len = piece * layout->row_bytes;
        status = os_input_read(&input->file, input->path, begin + (uint64_t)done * layout->row_bytes, input->bytes,
                               len, &call->error);
        if (status == DP_OK)
            status = vector_layout_take(layout, span_of(input->bytes, len), first + done, input->path,
                                        room + done * layout->dim, &call->error);
    }
    return status;
}

/* Reads and converts n rows from row `first` on. The file stores columns, so the function reads a part of
 * each column. */
static enum dp_status read_columns(struct call *call, struct vector_input *input, uint64_t first, size_t n,
                                   float *room)
{
    const struct vector_layout *layout = &input->layout;
    const size_t rows = PIECE_BYTES / layout->size;
    enum dp_status status = DP_OK;
    for (size_t column = 0; status == DP_OK && column < layout->dim; column++)
        for (size_t done = 0; status == DP_OK && done < n; done += rows) {
            size_t len = (n - done < rows ? n - done : rows) * layout->size;
            status =
                os_input_read(&input->file, input->path, vector_layout_column_at(layout, column, first + done),
                              input->bytes, len, &call->error);
            if (status == DP_OK)
                vector_layout_take_column(layout, span_of(input->bytes, len), column, room + done * layout->dim);
        }
    return status;
}

static enum dp_status read_input_rows(struct call *call, void *ctx, uint64_t first, size_t n, float *room,
                                      const float **out)
{
    struct vector_input *input = ctx;
    const struct vector_layout *layout = &input->layout;
    *out = room;
    if (vector_layout_is_plain(layout))
        return os_input_read(&input->file, input->path, layout->begin + first * layout->row_bytes, room,
                             n * layout->row_bytes, &call->error);
    return layout->columns ? read_columns(call, input, first, n, room) : read_pieces(call, input, first, n, room);
}

struct vector_source vector_input_source(struct vector_input *input)
{
    return (struct vector_source){.count = input->layout.count,
                                  .dim = input->layout.dim,
                                  .read = read_input_rows,
                                  .ctx = input,
                                  .name = input->path};
}

enum dp_status vector_input_ids(struct call *call, const char *path, uint64_t count, int64_t **out)
{
    struct os_map map;
    size_t found = 0;
    *out = NULL;
    enum dp_status status = os_map_file(path, &map, &call->error);
    if (status != DP_OK)
        return status;
    status = vector_ids_parse(map.bytes, path, out, &found, &call->error);
    os_unmap(&map);
    if (status == DP_OK && found != count)
        status = call_fail(call, DP_INVALID, "%s: there are %zu ids for %" PRIu64 " vectors", path, found, count);
    return status;
}
