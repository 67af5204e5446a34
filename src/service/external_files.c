/* external_files.c: the table of FAISS files that namespaces name and that are open. */
#include "base/alloc.h"
#include "base/masked_url.h"
#include "service/external.h"
#include "service/service_impl.h"

struct external_file {
    struct slot slot; /* its key is the URL, a zero and the version, in the same allocation */
    struct faiss_index *index;
};

static void close_file(struct slot *slot)
{
    struct external_file *file = (struct external_file *)slot;
    faiss_index_free(file->index);
    mem_free(file);
}

enum dp_status external_files_init(struct slots *files, struct dp_error *error)
{
    return slots_init(files, EXTERNAL_FILES_MAX, close_file, error);
}

const struct faiss_index *external_index(const struct external_file *file)
{
    return file->index;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

enum dp_status external_fail_replaced(struct call *call, const struct index_external *external)
{
    char shown[URL_SHOWN_MAX];
    dp_error_clear(&call->error);
    return call_fail(call, DP_STALE,
                     "the FAISS file %s is no longer the one that was attached to the namespace; attach it again "
                     "with `dipper faiss attach`",
                     url_shown(external->url, shown));
}

static enum dp_status check_file(struct call *call, const struct faiss_index *index,
                                 const struct index_external *external)
{
    const struct span version = faiss_index_version(index);
    if (faiss_index_info(index).file_bytes == external->size && span_equal(version, external->version))
        return DP_OK;
    return external_fail_replaced(call, external);
}

/* Writes the key of a file to `out`, which has room for it, and returns its length. */
static size_t put_key(const struct index_external *external, uint8_t *out)
{
    const struct span url = external->url, version = external->version;
    memcpy(out, url.data, url.len);
    out[url.len] = 0;
    if (version.len)
        memcpy(out + url.len + 1, version.data, version.len);
    return url.len + 1 + version.len;
}

static enum dp_status open_file(struct call *call, struct service *s, const struct index_external *external,
                                struct span key, struct external_file **out)
{
    struct external_file *file = mem_calloc(1, sizeof *file + key.len);
    *out = NULL;
    if (!file)
        return call_nomem(call, "an open FAISS file");
    memcpy(file + 1, key.data, key.len);
    file->slot.key = span_of((const uint8_t *)(file + 1), key.len);
    enum dp_status status = indexes_open_url(call, &s->indexes, external->url, &file->index);
    if (status == DP_OK)
        status = check_file(call, file->index, external);
    else if (status == DP_NOT_FOUND)
        status = external_fail_replaced(call, external);
    if (status == DP_OK)
        *out = file;
    else
        close_file(&file->slot);
    return status;
}

enum dp_status external_borrow(struct call *call, struct service *s, const struct index_external *external,
                               struct external_file **out)
{
    *out = NULL;
    uint8_t *bytes = arena_array(call->arena, external->url.len + 1 + external->version.len, sizeof *bytes);
    if (!bytes)
        return call_nomem(call, "an open FAISS file");
    const struct span key = span_of(bytes, put_key(external, bytes));
    *out = (struct external_file *)slots_borrow(&s->external_files, key, true);
    if (*out)
        return DP_OK;
    enum dp_status status = open_file(call, s, external, key, out);
    if (status == DP_OK)
        *out = (struct external_file *)slots_add(&s->external_files, &(*out)->slot);
    return status;
}

void external_give_back(struct service *s, struct external_file *file, bool forget)
{
    if (file)
        slots_give_back(&s->external_files, &file->slot, forget);
}
