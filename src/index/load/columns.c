/* columns.c: makes the columns of a segment in one walk over its documents.
 *
 * The pages of all columns come at the same time, but the section has them column by column. So the pages wait in one
 * spill: in memory, or in a file when they are many. */
#include "index/load/columns.h"

#include "base/alloc.h"
#include "base/array.h"
#include "filter/column_build.h"
#include "filter/column_key.h"
#include "filter/document.h"
#include "index/segment/columns.h"

enum {
    STORED_MAX = 128,        /* columns that one segment gets */
    MEMORY_MAX = 32 << 20,   /* of all pages that wait */
    SUMMARY_MAX = 1 << 20,   /* bytes of ASUM before compression: readers keep them in memory */
    SUMMARY_ROOM = 64 << 20, /* before the last columns are left out */
};

/* A column, and where its pages with their checksums wait. */
struct fed_column {
    struct column_builder builder;
    struct spill *waiting; /* the pages of all columns */
    uint64_t *starts;      /* [builder.page_count]: of the column's pages, in *waiting */
    size_t start_room;
    uint32_t number; /* of the column */
};

/* The columns of one segment. */
struct column_feed {
    struct call *call;
    struct segment_writer *writer;
    const struct segment_build *build;
    const struct schema *schema;
    struct map places;      /* of the attributes, by name: positions in `values` */
    struct spill pages;     /* of all columns, in the order in which they come */
    struct fed_column *fed; /* [count]: columns of values[0] to values[count - 1] */
    struct span *names;     /* [name_count]: of all attributes of the schema, those with columns first */
    struct span *values;    /* [name_count]: of the present row */
    size_t count, name_count;
    bool complete; /* no document had another attribute */
};

/* ---- columns ------------------------------------------------------------------------------------------- */

/* For column_builder: keeps a page. */
static enum dp_status keep_page(void *context, struct span page, struct dp_error *error)
{
    struct fed_column *column = context;
    struct buffer sum;
    const size_t number = column->builder.page_count - 1;
    uint64_t *starts = array_reserve(column->starts, number, &column->start_room, sizeof *starts, 16);
    if (!starts)
        return dp_fail_nomem(error, "a column");
    column->starts = starts;
    column->starts[number] = column->waiting->len;
    buffer_init(&sum, FORMAT_CHECKSUM_LEN);
    buffer_u64(&sum, segment_piece_checksum(page, columns_page_number(column->number, number)));
    enum dp_status status = buffer_check(&sum, "a column", error);
    if (status == DP_OK)
        status = spill_append(column->waiting, page, error);
    if (status == DP_OK)
        status = spill_append(column->waiting, buffer_span(&sum), error);
    buffer_deinit(&sum);
    return status;
}

bool load_makes_column(const struct attribute *a)
{
    return !a->dropped && !a->unfiltered && column_can_hold(a->type);
}

static enum dp_status add_name(struct column_feed *f, struct span name)
{
    f->names[f->name_count] = name;
    return map_put(&f->places, name, f->name_count++, NULL, NULL, &f->call->error);
}

/* Begins the columns, and notes the names of the attributes that get none. */
static enum dp_status begin_columns(struct column_feed *f)
{
    enum dp_status status = DP_OK;
    f->fed = mem_calloc(STORED_MAX, sizeof *f->fed);
    f->names = mem_calloc(f->schema->count + 1, sizeof *f->names);
    f->values = mem_calloc(f->schema->count + 1, sizeof *f->values);
    if (!f->fed || !f->names || !f->values)
        return call_nomem(f->call, "columns");
    for (size_t i = 0; i < f->schema->count && status == DP_OK; i++) {
        const struct attribute *a = &f->schema->attributes[i];
        if (!load_makes_column(a) || f->count == STORED_MAX)
            continue;
        struct fed_column *column = &f->fed[f->count];
        column->number = (uint32_t)f->count++;
        column_builder_init(&column->builder, a, keep_page, column);
        column->waiting = &f->pages;
        status = add_name(f, a->name);
    }
    for (size_t i = 0; i < f->schema->count && status == DP_OK; i++) {
        if (!map_find(&f->places, f->schema->attributes[i].name))
            status = add_name(f, f->schema->attributes[i].name);
    }
    return status;
}

static void free_columns(struct column_feed *f)
{
    for (size_t i = 0; i < f->count; i++) {
        column_builder_deinit(&f->fed[i].builder);
        mem_free(f->fed[i].starts);
    }
    spill_deinit(&f->pages);
    map_deinit(&f->places);
    mem_free(f->fed);
    mem_free(f->names);
    mem_free(f->values);
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

/* Returns the position of an attribute, or name_count. `hint`: where it may be. */
static size_t place_of(const struct column_feed *f, struct span key, size_t hint)
{
    if (hint < f->name_count && span_equal(key, f->names[hint]))
        return hint;
    const uint64_t *place = map_find(&f->places, key);
    if (place)
        return (size_t)*place;
    for (size_t i = 0; key.len && memchr(key.data, '\\', key.len) && i < f->name_count; i++) {
        if (document_is_key(key, f->names[i]))
            return i;
    }
    return f->name_count;
}

static enum dp_status feed_columns(struct column_feed *f, struct span document)
{
    struct document_walk walk = document_begin(document);
    struct document_member member;
    enum dp_status status = DP_OK;
    size_t hint = 0;
    memset(f->values, 0, (f->name_count + 1) * sizeof *f->values);
    while (document_next(&walk, &member)) {
        const size_t place = place_of(f, member.key, hint);
        if (place == f->name_count)
            f->complete = f->complete && span_equal_str(member.value, "null");
        else if (f->values[place].len == 0)
            f->values[place] = member.value;
        hint = place + 1;
    }
    for (size_t i = 0; i < f->count && status == DP_OK; i++)
        status = column_builder_add(&f->fed[i].builder, f->values[i], &f->call->error);
    return status;
}

static enum dp_status feed_all(struct column_feed *f)
{
    const struct segment_build *b = f->build;
    const struct waiting_rows *waiting = &b->loader->waiting;
    enum dp_status status = DP_OK;
    for (size_t r = 0; r < waiting->count && status == DP_OK; r++) {
        const struct waiting_row *row = &waiting->rows[b->order[r]];
        status = feed_columns(f, span_of(b->documents.data + row->document, row->document_len));
        if (status == DP_OK && r % 1024 == 0)
            status = call_check(f->call);
    }
    for (size_t i = 0; i < f->count && status == DP_OK; i++)
        status = column_builder_end(&f->fed[i].builder, &f->call->error);
    return status;
}

/* ---- sections ------------------------------------------------------------------------------------------ */

/* Writes the summary of the first `kept` columns, and the names of the other attributes. */
static enum dp_status put_summary(const struct column_feed *f, uint64_t rows, size_t kept, struct buffer *out)
{
    buffer_clear(out);
    columns_put_head(rows, f->complete, f->name_count, out);
    for (size_t i = 0; i < f->name_count; i++) {
        const struct attribute_column none = {.name = f->names[i]};
        const struct column_builder *builder = i < kept ? &f->fed[i].builder : NULL;
        column_put(builder ? &builder->column : &none, builder ? builder->page_count : 0, out);
    }
    return buffer_check(out, "the summary of columns", &f->call->error);
}

static enum dp_status write_dictionary(const struct column_feed *f, const struct fed_column *column)
{
    const struct span bytes = column_builder_dictionary(&column->builder);
    struct buffer piece;
    if (bytes.len == 0)
        return DP_OK;
    buffer_init(&piece, COLUMN_DICTIONARY_MAX + FORMAT_CHECKSUM_LEN);
    buffer_append(&piece, bytes);
    buffer_u64(&piece, segment_piece_checksum(bytes, columns_dictionary_number(column->number)));
    enum dp_status status = buffer_check(&piece, "a column", &f->call->error);
    if (status == DP_OK)
        status = segment_write_piece(f->call, f->writer, SECTION_COLUMNS, buffer_span(&piece));
    buffer_deinit(&piece);
    return status;
}

/* Writes the dictionary and the pages of a column. `pages`: those of all columns. */
static enum dp_status write_column(const struct column_feed *f, const struct fed_column *column, struct span pages)
{
    enum dp_status status = write_dictionary(f, column);
    for (size_t i = 0; i < column->builder.page_count && status == DP_OK; i++) {
        const size_t len = (size_t)column->builder.column.pages[i].len + COLUMN_SUM;
        status =
            segment_write_piece(f->call, f->writer, SECTION_COLUMNS, span_of(pages.data + column->starts[i], len));
    }
    spill_unload(&f->pages);
    return status;
}

/* Adds the summary of as many columns as the hot part has room for. *kept: how many. */
static enum dp_status add_summary(const struct column_feed *f, uint64_t rows, size_t *kept)
{
    const struct segment_build *b = f->build;
    const size_t room = segment_hot_left(f->writer, b->ivf ? (uint32_t)b->ivf->nlist : 1);
    struct buffer summary;
    bool taken = false;
    *kept = f->count;
    buffer_init(&summary, SUMMARY_ROOM);
    enum dp_status status = put_summary(f, rows, *kept, &summary);
    while (status == DP_OK && *kept) {
        if (summary.len <= SUMMARY_MAX)
            status =
                segment_offer_section(f->call, f->writer, SECTION_ATTRIBUTES, buffer_span(&summary), room, &taken);
        if (status != DP_OK || taken)
            break;
        *kept = *kept * 3 / 4;
        status = put_summary(f, rows, *kept, &summary);
    }
    if (status == DP_OK && *kept == 0) {
        buffer_clear(&summary);
        columns_put_head(rows, false, 0, &summary);
        status = buffer_check(&summary, "the summary of columns", &f->call->error);
        if (status == DP_OK)
            status =
                segment_offer_section(f->call, f->writer, SECTION_ATTRIBUTES, buffer_span(&summary), room, &taken);
    }
    buffer_deinit(&summary);
    return status;
}

static enum dp_status write_columns(struct column_feed *f, uint64_t rows)
{
    struct span pages;
    size_t kept;
    enum dp_status status = add_summary(f, rows, &kept);
    if (status == DP_OK)
        status = spill_view(&f->pages, &pages, &f->call->error);
    for (size_t i = 0; i < kept && status == DP_OK; i++)
        status = write_column(f, &f->fed[i], pages);
    return status;
}

enum dp_status load_write_columns(struct call *call, const struct segment_build *b, struct segment_writer *w)
{
    struct column_feed f = {.call = call, .writer = w, .build = b, .schema = b->loader->indexed, .complete = true};
    const size_t memory = b->loader->waiting.documents.memory_max;
    spill_init(&f.pages, memory < MEMORY_MAX ? memory : MEMORY_MAX);
    map_init(&f.places, f.schema->count + 1);
    enum dp_status status = begin_columns(&f);
    if (status == DP_OK && f.count)
        status = feed_all(&f);
    if (status == DP_OK && f.count)
        status = write_columns(&f, b->loader->waiting.count);
    free_columns(&f);
    return status;
}
