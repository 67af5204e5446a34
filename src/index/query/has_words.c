/* has_words.c: tells whether text indexes answer rankings by the words of an attribute. */
#include "filter/attribute.h"
#include "index/query/reader.h"
#include "index/row_text.h"
#include "text/index.h"

/* Whether the segment's text index has a column of these settings. */
static bool has_column(const struct segment *segment, uint64_t settings)
{
    const struct text_index *index = segment->words;
    for (uint32_t i = 0; index && i < index->column_count; i++) {
        if (index->columns[i].settings == settings)
            return true;
    }
    return false;
}

enum dp_status index_has_words(struct call *call, struct index_reader *reader, struct span attribute, bool *out)
{
    struct view *view = reader_view(reader);
    const struct manifest *m = &view->base->manifest;
    const struct attribute *a = schema_find(&m->schema, attribute);
    struct text_settings settings;
    enum dp_status status = DP_OK;
    *out = false;
    if (a && !a->dropped)
        status = row_text_settings(a, &settings, out, &call->error);
    const uint64_t wanted = status == DP_OK && *out ? row_text_column(a, &settings) : 0;
    for (size_t i = 0; i < m->segment_count && status == DP_OK; i++)
        *out = *out && has_column(view->base->segments[i].segment, wanted);
    view_release(view);
    return status;
}
