/* unindexed.c: reads the hot parts of segments, and compares their columns with those that the schema wants. */
#include "index/fold/unindexed.h"

#include "index/fold/row_scan.h"
#include "index/load/columns.h"
#include "index/row_text.h"
#include "index/segment/words.h"

enum { COLUMNS_ROOM = 512 * 1024 /* free bytes of a hot part to which columns are added */ };

/* A column that each text index should have. */
struct wanted_column {
    uint32_t attribute;
    uint64_t settings;
};

static enum dp_status find_wanted(struct call *call, const struct schema *schema, struct wanted_column **out,
                                  size_t *count)
{
    enum dp_status status = DP_OK;
    *count = 0;
    *out = arena_array(call->arena, schema->count + 1, sizeof **out);
    if (!*out)
        return call_nomem(call, "a merge");
    for (size_t i = 0; i < schema->count && status == DP_OK; i++) {
        const struct attribute *a = &schema->attributes[i];
        struct text_settings settings;
        bool found;
        status = row_text_settings(a, &settings, &found, &call->error);
        if (status == DP_OK && found)
            (*out)[(*count)++] = (struct wanted_column){a->number, row_text_column(a, &settings)};
    }
    return status;
}

/* *lacks: the segment lacks a wanted column, and had room for it. */
static enum dp_status check_columns(struct call *call, struct segment_hot *hot, const struct wanted_column *wanted,
                                    size_t count, bool *lacks)
{
    struct text_index *index;
    enum dp_status status = segment_open_words(hot, &index, &call->error);
    *lacks = status == DP_OK && !index && !segment_section(hot, SECTION_TERMS);
    for (size_t i = 0; i < count && status == DP_OK && index; i++)
        *lacks |= text_index_column(index, wanted[i].attribute, wanted[i].settings) < 0;
    return status;
}

/* Returns whether an older build has written the segment, which has no columns, and it has room for them. */
static bool lacks_columns(const struct segment_hot *hot, const struct manifest_segment *listed)
{
    return !segment_section(hot, SECTION_ATTRIBUTES) && listed->hot_len + COLUMNS_ROOM < SEGMENT_HOT_MAX;
}

static bool wants_columns(const struct schema *schema)
{
    for (size_t i = 0; i < schema->count; i++) {
        if (load_makes_column(&schema->attributes[i]))
            return true;
    }
    return false;
}

enum dp_status find_unindexed(struct call *call, struct store *store, struct span name, const struct manifest *m,
                              size_t *position, bool *found)
{
    struct wanted_column *wanted;
    struct row_scan scan;
    size_t count;
    *found = false;
    enum dp_status status = find_wanted(call, &m->schema, &wanted, &count);
    const bool columns = wants_columns(&m->schema);
    if (status != DP_OK || (count == 0 && !columns) || m->segment_count == 0)
        return status;
    status = row_scan_open(call, store, name, m, m->segments, m->segment_count, &scan);
    for (*position = 0; status == DP_OK && *position < m->segment_count; ++*position) {
        struct segment_hot *hot = &scan.segments[*position].hot;
        if (count)
            status = check_columns(call, hot, wanted, count, found);
        *found |= status == DP_OK && columns && lacks_columns(hot, &m->segments[*position]);
        if (*found)
            break;
    }
    row_scan_deinit(&scan);
    return status;
}
