/* new_file.c: writes a file. For a path it writes a temporary file beside the path and renames it. It opens no store
 * for a path, because a store would put its own files among the user's files. For any other URL it uploads to a
 * store. */
#include "faiss/new_file.h"

enum dp_status new_file_begin(struct call *call, struct span url, const struct store_options *options,
                              struct new_file *out)
{
    const char *path;
    struct span key;
    *out = (struct new_file){0};
    enum dp_status status = store_url_path(call, url, &path);
    if (status != DP_OK)
        return status;
    if (path)
        return os_new_file_begin(path, &out->local, &call->error);
    status = store_open_object(call, url, options, &out->store, &key);
    return status == DP_OK ? store_upload_begin(call, out->store, key, &out->upload) : status;
}

enum dp_status new_file_write(struct call *call, void *ctx, struct span bytes)
{
    struct new_file *file = ctx;
    if (file->local)
        return os_new_file_write(file->local, bytes, &call->error);
    return store_upload_write(call, file->upload, bytes);
}

enum dp_status new_file_finish(struct call *call, struct new_file *file)
{
    struct os_new_file *local = file->local;
    struct store_upload *upload = file->upload;
    struct store_version version;
    file->local = NULL;
    file->upload = NULL;
    if (local)
        return os_new_file_finish(local, &call->error);
    return store_upload_finish(call, upload, &version);
}

void new_file_abort(struct new_file *file)
{
    os_new_file_abort(file->local);
    store_upload_abort(file->upload);
    store_free(file->store);
    *file = (struct new_file){0};
}

enum dp_status new_file_put(struct call *call, struct span url, const struct store_options *options,
                            struct span bytes)
{
    struct new_file file;
    enum dp_status status = new_file_begin(call, url, options, &file);
    if (status == DP_OK)
        status = new_file_write(call, &file, bytes);
    if (status == DP_OK)
        status = new_file_finish(call, &file);
    new_file_abort(&file);
    return status;
}
