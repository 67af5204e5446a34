/* external_files.c: the table of FAISS files that namespaces name and that are open. */
#include "base/alloc.h"
#include "base/masked_url.h"
#include "service/external.h"
#include "service/service_impl.h"

struct external_file {
    struct faiss_index *index;
    struct span url, version; /* in the same allocation */
    unsigned borrowed;        /* guarded by the table's lock, as the fields below */
    uint64_t used;            /* the table's clock when a query last borrowed it */
    bool listed;              /* the table has it; false: closed when given back */
};

void external_files_init(struct external_files *files)
{
    *files = (struct external_files){.count = 0};
    pthread_mutex_init(&files->lock, NULL);
}

static void close_file(struct external_file *file)
{
    if (!file)
        return;
    faiss_index_free(file->index);
    mem_free(file);
}

void external_files_deinit(struct external_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        close_file(files->slots[i]);
    files->count = 0;
    pthread_mutex_destroy(&files->lock);
}

const struct faiss_index *external_index(const struct external_file *file)
{
    return file->index;
}

/* ---- the table: the lock is held ------------------------------------------------------------------------- */

static struct external_file *find_file(struct external_files *files, const struct index_external *external)
{
    for (size_t i = 0; i < files->count; i++) {
        struct external_file *file = files->slots[i];
        if (span_equal(file->url, external->url) && span_equal(file->version, external->version))
            return file;
    }
    return NULL;
}

static void unlist_file(struct external_files *files, struct external_file *file)
{
    for (size_t i = 0; i < files->count; i++) {
        if (files->slots[i] == file)
            files->slots[i] = files->slots[--files->count];
    }
    file->listed = false;
}

/* Puts a file into the table, in place of the one that has waited longest. If all are borrowed, the file stays out.
 * Returns the file to close, or NULL. */
static struct external_file *list_file(struct external_files *files, struct external_file *file)
{
    struct external_file *oldest = NULL;
    if (files->count == EXTERNAL_FILES_MAX) {
        for (size_t i = 0; i < files->count; i++) {
            struct external_file *other = files->slots[i];
            if (!other->borrowed && (!oldest || other->used < oldest->used))
                oldest = other;
        }
        if (!oldest)
            return NULL;
        unlist_file(files, oldest);
    }
    files->slots[files->count++] = file;
    file->listed = true;
    return oldest;
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

static enum dp_status open_file(struct call *call, struct service *s, const struct index_external *external,
                                struct external_file **out)
{
    struct external_file *file = mem_calloc(1, sizeof *file + external->url.len + external->version.len + 1);
    *out = NULL;
    if (!file)
        return call_nomem(call, "an open FAISS file");
    uint8_t *text = (uint8_t *)(file + 1);
    memcpy(text, external->url.data, external->url.len);
    file->url = span_of(text, external->url.len);
    if (external->version.len)
        memcpy(text + external->url.len, external->version.data, external->version.len);
    file->version = span_of(text + external->url.len, external->version.len);
    file->borrowed = 1;
    enum dp_status status = indexes_open_url(call, &s->indexes, external->url, &file->index);
    if (status == DP_OK)
        status = check_file(call, file->index, external);
    else if (status == DP_NOT_FOUND)
        status = external_fail_replaced(call, external);
    if (status == DP_OK)
        *out = file;
    else
        close_file(file);
    return status;
}

enum dp_status external_borrow(struct call *call, struct service *s, const struct index_external *external,
                               struct external_file **out)
{
    struct external_files *files = &s->external_files;
    struct external_file *closing = NULL;
    pthread_mutex_lock(&files->lock);
    *out = find_file(files, external);
    if (*out) {
        (*out)->borrowed++;
        (*out)->used = ++files->clock;
    }
    pthread_mutex_unlock(&files->lock);
    if (*out)
        return DP_OK;
    enum dp_status status = open_file(call, s, external, out);
    if (status != DP_OK)
        return status;
    pthread_mutex_lock(&files->lock);
    (*out)->used = ++files->clock;
    if (!find_file(files, external)) /* otherwise another query has just opened it */
        closing = list_file(files, *out);
    pthread_mutex_unlock(&files->lock);
    close_file(closing);
    return DP_OK;
}

void external_give_back(struct service *s, struct external_file *file, bool forget)
{
    struct external_files *files = &s->external_files;
    if (!file)
        return;
    pthread_mutex_lock(&files->lock);
    if (forget && file->listed)
        unlist_file(files, file);
    bool close = --file->borrowed == 0 && !file->listed;
    pthread_mutex_unlock(&files->lock);
    if (close)
        close_file(file);
}
