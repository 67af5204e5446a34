/* local/open.c: a folder of this host as an object store. Opens it, turns keys into paths, and makes versions.
 *
 * docs/internals/store.md describes the layout and its guarantees. local/read.c reads, local/write.c writes,
 * local/list.c lists.
 */
#include "store/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "os/clock.h"
#include "os/file.h"

enum dp_status local_fail(const struct local_store *local, int failed, const char *doing, struct span key,
                          struct dp_error *error)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%.*s", local->path, SPAN_FMT(key));
    if (len < 0 || (size_t)len >= sizeof path)
        snprintf(path, sizeof path, "%.*s", SPAN_FMT(key));
    if (failed == ESTALE)
        return dp_fail(error, DP_UNAVAILABLE, "cannot %s %s: the root %s is not there any more", doing, path,
                       local->path);
    if (failed == ELOOP)
        return dp_fail(error, DP_DENIED, "cannot %s %s: symbolic links are not followed", doing, path);
    return dp_fail_errno(error, failed, doing, path);
}

/* ---- paths ------------------------------------------------------------------------------------------ */

/* Returns the place of a folder's hash in local->durable. The hash may lie in any of PROBES places. If it is in
 * none, returns the first free one; if none is free, the first one, whose hash the caller then replaces. Because
 * of these choices, a handful of folders always find a place, so the number of syncs does not depend on their
 * inode numbers. */
static _Atomic uint64_t *durable_place(struct local_store *local, uint64_t hash)
{
    enum { PROBES = 8 };
    for (size_t i = 0; i < PROBES; i++) {
        _Atomic uint64_t *place = &local->durable[(hash / 2 + i) % LOCAL_DURABLE_PLACES];
        uint64_t there = atomic_load_explicit(place, memory_order_acquire);
        if (there == hash || there == 0)
            return place;
    }
    return &local->durable[hash / 2 % LOCAL_DURABLE_PLACES];
}

/* Syncs the parent of an open folder on the first call for this folder. The writer that made the folder may not
 * have synced the parent yet. Returns 0 or an errno. */
static int make_durable(struct local_store *local, int parent, int folder)
{
    struct stat info;
    if (fstat(folder, &info) != 0)
        return errno;
    const uint64_t identity[2] = {info.st_dev, info.st_ino};
    uint64_t hash = checksum64(span_of((const uint8_t *)identity, sizeof identity)) | 1;
    _Atomic uint64_t *place = durable_place(local, hash);
    if (atomic_load_explicit(place, memory_order_acquire) == hash)
        return 0;
    if (fsync(parent) != 0)
        return errno;
    atomic_store_explicit(place, hash, memory_order_release);
    return 0;
}

/* Opens the folder `name` in `parent`. With `create`, makes a missing folder, and makes the folder durable even if
 * another writer made it. Returns 0 or an errno. */
static int open_part(struct local_store *local, int parent, const char *name, bool create, int *out)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
    *out = openat(parent, name, FLAGS);
    if (!create)
        return *out < 0 ? errno : 0;
    bool made = *out < 0 && errno == ENOENT;
    if (*out < 0 && !made)
        return errno;
    if (made) {
        /* EEXIST: another writer has just made it. */
        if ((mkdirat(parent, name, 0777) != 0 && errno != EEXIST) || fsync(parent) != 0)
            return errno;
        *out = openat(parent, name, FLAGS);
        return *out < 0 ? errno : 0;
    }
    int failed = make_durable(local, parent, *out);
    if (failed)
        close(*out);
    return failed;
}

/* Opens the folder at `path` below the root, part by part. Returns 0 or an errno; ESTALE: the root is gone. */
static int open_path(struct local_store *local, struct span path, bool create, int *out)
{
    int folder = open(local->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return errno == ENOENT || errno == ENOTDIR ? ESTALE : errno;
    for (size_t start = 0; start < path.len;) {
        const uint8_t *slash = memchr(path.data + start, '/', path.len - start);
        size_t end = slash ? (size_t)(slash - path.data) : path.len;
        char name[STORE_PART_MAX + 1];
        int next = -1, failed = ENAMETOOLONG;
        if (end - start <= STORE_PART_MAX) {
            memcpy(name, path.data + start, end - start);
            name[end - start] = '\0';
            failed = open_part(local, folder, name, create, &next);
        }
        close(folder);
        if (failed)
            return failed;
        folder = next;
        start = end + 1;
    }
    *out = folder;
    return 0;
}

int local_open_folder(struct local_store *local, struct span path, int *folder)
{
    return open_path(local, path, false, folder);
}

int local_folder_of(struct local_store *local, struct span key, bool create, int *folder,
                    char name[STORE_PART_MAX + 1])
{
    size_t start = key.len;
    while (start > 0 && key.data[start - 1] != '/')
        start--;
    if (key.len - start > STORE_PART_MAX)
        return ENAMETOOLONG;
    memcpy(name, key.data + start, key.len - start);
    name[key.len - start] = '\0';
    return open_path(local, span_of(key.data, start ? start - 1 : 0), create, folder);
}

int local_open_object(struct local_store *local, struct span key, int *fd, struct stat *info)
{
    char name[STORE_PART_MAX + 1];
    int folder;
    int failed = local_folder_of(local, key, false, &folder, name);
    if (failed)
        return failed == ENOTDIR ? ENOENT : failed; /* the key is "a/b", and "a" is an object */
    *fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    failed = *fd < 0 ? errno : 0;
    close(folder);
    if (failed)
        return failed;
    failed = fstat(*fd, info) != 0 ? errno : S_ISREG(info->st_mode) ? 0 : ENOENT;
    if (failed)
        close(*fd);
    return failed;
}

/* ---- versions --------------------------------------------------------------------------------------- */

static int64_t stat_nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

bool local_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           stat_nanoseconds(a->st_mtim) == stat_nanoseconds(b->st_mtim) &&
           stat_nanoseconds(a->st_ctim) == stat_nanoseconds(b->st_ctim);
}

void local_version_of_file(const struct stat *info, struct store_version *out)
{
    int len = snprintf(out->token, sizeof out->token, "f%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64,
                       (uint64_t)info->st_ino, (uint64_t)info->st_size, (uint64_t)stat_nanoseconds(info->st_mtim),
                       (uint64_t)stat_nanoseconds(info->st_ctim));
    out->len = (uint8_t)len;
}

void local_version_of_bytes(struct span bytes, struct store_version *out)
{
    int len = snprintf(out->token, sizeof out->token, "c%016" PRIx64 "-%zx", checksum64(bytes), bytes.len);
    out->len = (uint8_t)len;
}

enum dp_status local_version(const struct local_store *local, int fd, const struct stat *info, struct span key,
                             struct store_version *out, struct dp_error *error)
{
    if (info->st_size > LOCAL_HASHED_MAX) {
        local_version_of_file(info, out);
        return DP_OK;
    }
    size_t size = (size_t)info->st_size, filled = 0;
    uint8_t *bytes = mem_alloc(size);
    if (!bytes)
        return dp_fail_nomem(error, "an object's version");
    enum dp_status status = DP_OK;
    while (filled < size) {
        ssize_t got = pread(fd, bytes + filled, size - filled, (off_t)filled);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            status = got < 0 ? local_fail(local, errno, "read", key, error)
                             : dp_fail(error, DP_STALE, "%.*s changed while it was read", SPAN_FMT(key));
            goto out;
        }
        filled += (size_t)got;
    }
    local_version_of_bytes(span_of(bytes, size), out);
out:
    mem_free(bytes);
    return status;
}

/* A small object's version is a hash of its content, so only a read can tell whether it is current.
 *
 * The times of a file advance in ticks of a few milliseconds. If another program changes a file twice within one
 * tick, both contents have the same version. So a version counts as current only when its tick is surely over. */
bool local_is_current(struct store *store, struct span key, const struct store_version *version)
{
    enum { TICK_MS_MAX = 100 };
    struct stat info;
    struct store_version now;
    int fd;
    if (version->len == 0 || version->token[0] != 'f' || local_open_object(local_of(store), key, &fd, &info) != 0)
        return false;
    close(fd);
    local_version_of_file(&info, &now);
    return store_version_equal(version, &now) &&
           os_wall_ms() - stat_nanoseconds(info.st_ctim) / 1000000 >= TICK_MS_MAX;
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static void local_free(struct store *store)
{
    store_block_pool_free(local_of(store)->blocks);
    mem_free(store);
}

static const struct store_ops LOCAL_OPS = {
    .scheme = "file",
    .read = local_read,
    .head = local_head,
    .put = local_put,
    .list = local_list,
    .remove = local_remove,
    .upload_begin = local_upload_begin,
    .upload_write = local_upload_write,
    .upload_finish = local_upload_finish,
    .upload_abort = local_upload_abort,
    .free = local_free,
    .settle = local_settle,
    .is_current = local_is_current,
};

enum dp_status store_local_open(struct call *call, const char *path, bool create, struct store **out)
{
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 && errno == ENOENT && create) {
        enum dp_status status = os_make_dirs(path, &call->error);
        if (status != DP_OK)
            return status;
        root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (root < 0 && errno == ENOTDIR)
        return call_fail(call, DP_INVALID, "the root %s is not a folder", path);
    if (root < 0)
        return dp_fail_errno(&call->error, errno, "open the root", path);
    close(root);
    char here[PATH_MAX] = "";
    if (path[0] != '/' && !getcwd(here, sizeof here))
        return dp_fail_errno(&call->error, errno, "find the current folder for", path);
    size_t len = strlen(path), here_len = strlen(here);
    while (len > 1 && path[len - 1] == '/')
        len--;
    size_t names = len + 1 + here_len + 1 + len + 1;
    struct local_store *local = mem_calloc(1, sizeof *local + names);
    struct store_block_pool *blocks = local ? store_block_pool_new() : NULL;
    if (!blocks) {
        mem_free(local);
        return call_nomem(call, "a store");
    }
    local->base.ops = &LOCAL_OPS;
    local->blocks = blocks;
    memcpy(local->path, path, len);
    char *absolute = local->path + len + 1; /* after the NUL, which mem_calloc has set */
    memcpy(absolute, here, here_len);
    if (here_len)
        absolute[here_len++] = '/';
    memcpy(absolute + here_len, path, len);
    local->root = absolute;
    if (create)
        local_sweep(local);
    *out = &local->base;
    return DP_OK;
}
