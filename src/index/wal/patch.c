/* patch.c: puts the cells of a patch into a document.
 *
 * The document's attributes keep their places; attributes that it lacks come after them.
 */
#include "index/wal/patch.h"

#include "base/array.h"
#include "base/json.h"
#include "index/index.h"

/* An attribute of the patch. */
struct patch_cell {
    struct span name, value; /* the value is raw JSON */
    bool used;               /* the document has the attribute */
};

struct patch_cells {
    struct patch_cell *cells; /* [count], in the arena */
    size_t count, room;
};

static enum dp_status read_cells(struct span patch, struct arena *arena, struct patch_cells *out,
                                 struct dp_error *error)
{
    struct json_reader r;
    struct patch_cell cell = {0};
    *out = (struct patch_cells){0};
    json_reader_init(&r, patch);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &cell.name) && json_read_raw(&r, &cell.value)) {
        struct patch_cell *cells = arena_reserve(arena, out->cells, out->count, &out->room, sizeof *cells, 16);
        if (!cells)
            return dp_fail_nomem(error, "a patch");
        out->cells = cells;
        out->cells[out->count++] = cell;
    }
    json_end(&r);
    if (!json_failed(&r))
        return DP_OK;
    json_error(&r, error);
    dp_error_prefix(error, "a patch");
    return dp_restatus(error, DP_INVALID);
}

static struct patch_cell *find_cell(const struct patch_cells *patch, struct span name)
{
    for (size_t i = 0; i < patch->count; i++) {
        if (span_equal(patch->cells[i].name, name))
            return &patch->cells[i];
    }
    return NULL;
}

static void write_cell(struct json_writer *w, struct span name, struct span value)
{
    if (span_equal_str(value, "null"))
        return;
    json_key_span(w, name);
    json_raw(w, value);
}

/* Writes the document's attributes, each with the patch's value if there is one. */
static enum dp_status write_document(struct json_writer *w, struct span document, const struct patch_cells *patch,
                                     struct arena *arena, struct dp_error *error)
{
    struct json_reader r;
    struct span name, value;
    json_reader_init(&r, document);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &name) && json_read_raw(&r, &value)) {
        struct patch_cell *cell = find_cell(patch, name);
        if (cell)
            cell->used = true;
        write_cell(w, name, cell ? cell->value : value);
    }
    json_end(&r);
    if (!json_failed(&r))
        return DP_OK;
    json_error(&r, error);
    dp_error_prefix(error, "the row's document");
    return dp_restatus(error, DP_CORRUPT);
}

enum dp_status document_patch(struct span document, struct span patch, struct arena *arena, struct span *out,
                              struct dp_error *error)
{
    struct patch_cells cells;
    struct buffer text;
    struct json_writer w;
    enum dp_status status = read_cells(patch, arena, &cells, error);
    if (status)
        return status;
    buffer_init(&text, INDEX_DOCUMENT_MAX);
    json_writer_init(&w, &text);
    json_begin_object(&w);
    status = write_document(&w, document.len ? document : span_str("{}"), &cells, arena, error);
    for (size_t i = 0; i < cells.count && status == DP_OK; i++) {
        if (!cells.cells[i].used)
            write_cell(&w, cells.cells[i].name, cells.cells[i].value);
    }
    json_end_object(&w);
    if (status == DP_OK)
        status = buffer_check(&text, "a patched row's attributes", error);
    if (status == DP_OK) {
        *out = arena_copy(arena, buffer_span(&text));
        if (!out->data)
            status = dp_fail_nomem(error, "a patched row");
    }
    buffer_deinit(&text);
    return status;
}
