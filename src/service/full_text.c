/* full_text.c: adds the option full_text_search to the attribute "text" in the manifest. */
#include "service/full_text.h"

#include "index/schema_options.h"

/* Returns the attribute if it lacks all options, else NULL. */
static struct attribute *find_plain_text(const struct schema *schema)
{
    struct attribute *a = schema_find(schema, span_str(FULL_TEXT_ATTRIBUTE));
    return a && a->type == ATTRIBUTE_STRING && !a->dropped && a->options.len == 0 ? a : NULL;
}

/* Sets the option. For index_alter. */
static enum dp_status set_full_text(void *context, struct schema *schema, struct arena *arena,
                                    struct dp_error *error)
{
    bool *declared = context;
    struct attribute *a = find_plain_text(schema);
    *declared = a != NULL;
    return a ? schema_set_options(a, span_str("{\"full_text_search\":true}"), true, arena, error) : DP_OK;
}

enum dp_status service_declare_full_text(struct call *call, struct store *store, struct span name,
                                         struct index_reader *reader, bool *declared)
{
    const struct index_alteration change = {.edit_schema = set_full_text, .context = declared};
    struct index_vectors vectors;
    struct schema schema;
    *declared = false;
    enum dp_status status = index_vectors_of(call, reader, &vectors);
    if (status == DP_OK)
        status = index_schema(call, reader, &schema);
    if (status != DP_OK || vectors.model.len == 0 || !find_plain_text(&schema))
        return status;
    status = index_alter(call, store, name, &change);
    if (status == DP_OK)
        return DP_OK;
    *declared = false;
    if (status == DP_DENIED) { /* the namespace is read-only */
        dp_error_clear(&call->error);
        return DP_OK;
    }
    return status;
}
