/* has_words.c: tells whether text indexes answer rankings by the words of an attribute. */
#include "filter/attribute.h"
#include "index/query/reader.h"
#include "index/row_text.h"
#include "text/index.h"

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
    for (size_t i = 0; i < m->segment_count && *out; i++) {
        const struct text_index *index = view->base->segments[i].segment->words;
        *out = index && text_index_column_of(index, wanted) >= 0;
    }
    view_release(view);
    return status;
}
