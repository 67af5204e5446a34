/* recall_lookup.c: reads a recall table at the first search by recall, and keeps it. */
#include "capi/recall_lookup.h"

#include <stdatomic.h>
#include <string.h>

#include "service/store_settings.h"
#include "base/alloc.h"

struct recall_lookup {
    _Atomic(struct recall_table *) table; /* NULL until a search by recall has read it */
    bool beside;                          /* `url` is the FAISS file's; the table lies beside that file */
    bool known;                           /* the caller gave a URL */
    char url[];
};

enum dp_status recall_lookup_new(const char *url, const char *table_url, struct recall_lookup **out,
                                 struct dp_error *error)
{
    const char *text = table_url ? table_url : url ? url : "";
    size_t len = strlen(text);
    struct recall_lookup *lookup = mem_calloc(1, sizeof *lookup + len + 1);
    *out = lookup;
    if (!lookup)
        return dp_fail_nomem(error, "the index");
    lookup->beside = !table_url;
    lookup->known = table_url || url;
    memcpy(lookup->url, text, len + 1);
    return DP_OK;
}

void recall_lookup_free(struct recall_lookup *lookup)
{
    if (!lookup)
        return;
    mem_free(atomic_load(&lookup->table));
    mem_free(lookup);
}

/* Reads the table; the settings of a remote store come from the environment. */
static enum dp_status load_recall_table(struct call *call, const struct recall_lookup *lookup,
                                        const struct faiss_index *index, struct recall_table *out)
{
    struct span url = span_str(lookup->url);
    struct environment_settings e;
    enum dp_status status = lookup->beside ? recall_url(call, url, &url) : DP_OK;
    if (status != DP_OK)
        return status;
    status = environment_settings_load(&e, url, &call->error);
    if (status == DP_OK)
        status = recall_load(call, url, &e.store, index, out);
    environment_settings_deinit(&e);
    return status;
}

static enum dp_status kept_recall_table(struct call *call, struct recall_lookup *lookup,
                                        const struct faiss_index *index, const struct recall_table **out)
{
    struct recall_table *kept = atomic_load(&lookup->table);
    *out = kept;
    if (kept)
        return DP_OK;
    struct recall_table *read = mem_calloc(1, sizeof *read);
    if (!read)
        return call_nomem(call, "a recall table");
    enum dp_status status = load_recall_table(call, lookup, index, read);
    if (status == DP_OK && atomic_compare_exchange_strong(&lookup->table, &kept, read)) {
        *out = read;
        return DP_OK;
    }
    mem_free(read);
    *out = kept; /* NULL after a failure, else the table of a faster thread */
    return status;
}

enum dp_status recall_lookup_nprobe(struct call *call, struct recall_lookup *lookup,
                                    const struct faiss_index *index, double recall, size_t *nprobe)
{
    const struct recall_table *table;
    if (!(recall > 0 && recall <= 1))
        return call_fail(call, DP_INVALID, "recall %g: it must be above 0 and at most 1", recall);
    if (recall_is_whole(index)) {
        *nprobe = 1;
        return DP_OK;
    }
    if (!lookup->known)
        return call_fail(
            call, DP_INVALID,
            "a search by recall of a file without a URL needs options.recall_table when the file is opened");
    enum dp_status status = kept_recall_table(call, lookup, index, &table);
    return status == DP_OK ? recall_nprobe(table, recall, nprobe, &call->error) : status;
}
