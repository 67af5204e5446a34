/* filter/column_build.h: makes the column of one attribute from the values of a segment's rows, in the order of their
 * numbers. column.h has the form.
 */
#ifndef FILTER_COLUMN_BUILD_H
#define FILTER_COLUMN_BUILD_H

#include "base/map.h"
#include "filter/column.h"

/* Takes the bytes of the next page. */
typedef enum dp_status column_page_fn(void *context, struct span page, struct dp_error *error);

/* A dictionary while it grows. */
struct column_dictionary {
    struct map codes; /* of texts */
    struct arena texts;
    struct buffer bytes;
    uint32_t *hashes; /* [count] */
    size_t count, room;
    bool closed; /* the dictionary takes no further text */
};

/* A column in the making. One owner thread. */
struct column_builder {
    struct attribute_column column; /* column.name points into the schema */
    bool array, text;
    column_page_fn *take;
    void *context;
    struct column_page page; /* of the rows since the last one */
    bool opaque;             /* the arrays of these rows have too many elements */
    struct column_dictionary dictionary;
    uint64_t rows;
    struct {
        uint64_t least, greatest;
    } * spans; /* [page_count]: keys of each page; least > greatest: none */
    size_t page_count, span_room, piece_room;
    struct buffer bytes, unescaped;
};

/* Begins a column. `take` gets the pages. The attribute's type must be one that column_can_hold(). The caller
 * deinits. */
void column_builder_init(struct column_builder *b, const struct attribute *attribute, column_page_fn *take,
                         void *context);
void column_builder_deinit(struct column_builder *b);
/* Adds the next row. `value`: its JSON; empty: none. Fails with DP_NOMEM, or as `take` does. */
enum dp_status column_builder_add(struct column_builder *b, struct span value, struct dp_error *error);
/* Adds the last page. Then b->column and b->page_count are those for column_put(), but for offsets; and
 * column_builder_dictionary() gives the bytes before the pages. */
enum dp_status column_builder_end(struct column_builder *b, struct dp_error *error);
static inline struct span column_builder_dictionary(const struct column_builder *b)
{
    return b->dictionary.count ? buffer_span(&b->dictionary.bytes) : (struct span){0};
}

#endif
