/* local/write.c: puts, uploads and removals in a local folder.
 *
 * A writer writes the bytes to a file in .dipper/tmp and fsyncs it. Then the file gets its name in one step, and
 * the writer fsyncs the folder:
 *     if absent    link(2), which fails when the name exists; then the temporary name is removed
 *     otherwise    rename(2), under the root's lock
 * The lock makes "compare the version, then rename" one step for all writers of this host, so replacing and
 * removing take the lock too. A writer holds the lock for that step alone, and waits for it at most until the
 * call's deadline. The modification time distinguishes the versions of large objects. The kernel's own clock for
 * it ticks only every few milliseconds, so the writer sets the time to the nanosecond.
 */
#include "store/local/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/file.h"

enum { FOLDER_TRIES = 16 };

/* ---- the lock --------------------------------------------------------------------------------------- */

/* Takes the root's lock; close(*lock) releases it. Each call opens the lock file anew, so the lock also keeps
 * threads of one process apart. */
static enum dp_status take_lock(struct call *call, struct local_store *local, int *lock)
{
    const struct span name = span_str(LOCAL_OWN_FOLDER "/lock");
    char last[STORE_PART_MAX + 1];
    int folder;
    *lock = -1;
    int failed = local_folder_of(local, name, true, &folder, last);
    if (!failed) {
        *lock = openat(folder, last, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
        failed = *lock < 0 ? errno : 0;
        close(folder);
    }
    if (failed)
        return local_fail(local, failed, "open", name, &call->error);
    struct timespec pause = {.tv_nsec = 20000};
    while (flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        failed = errno;
        enum dp_status status = call_check(call);
        if (status == DP_OK && failed != EWOULDBLOCK && failed != EINTR)
            status = local_fail(local, failed, "lock", name, &call->error);
        if (status != DP_OK) {
            close(*lock);
            return status;
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 1000000)
            pause.tv_nsec *= 2;
    }
    return DP_OK;
}

/* ---- temporary files -------------------------------------------------------------------------------- */

struct temporary {
    int folder; /* .dipper/tmp */
    int fd;
    char name[ULID_LEN + 1];
};

static enum dp_status temporary_create(struct local_store *local, struct span key, struct temporary *t,
                                       struct dp_error *error)
{
    char last[STORE_PART_MAX + 1];
    *t = (struct temporary){.folder = -1, .fd = -1};
    enum dp_status status = os_ulid(t->name, error);
    if (status != DP_OK)
        return status;
    int failed = local_folder_of(local, span_str(LOCAL_OWN_FOLDER "/tmp/x"), true, &t->folder, last);
    if (failed)
        return local_fail(local, failed, "write", key, error);
    t->fd = openat(t->folder, t->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (t->fd >= 0)
        return DP_OK;
    failed = errno;
    close(t->folder);
    return local_fail(local, failed, "write", key, error);
}

/* Closes the file, and removes its temporary name unless it was renamed. */
static void temporary_end(struct temporary *t, bool renamed)
{
    if (!renamed)
        unlinkat(t->folder, t->name, 0);
    close(t->fd);
    close(t->folder);
}

/* Sets an exact modification time and makes the written bytes durable. Returns 0 or an errno. */
static int settle_file(int fd)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
    if (clock_gettime(CLOCK_REALTIME, &times[1]) != 0 || futimens(fd, times) != 0 || fsync(fd) != 0)
        return errno;
    return 0;
}

void local_sweep(struct local_store *local)
{
    enum { DAY = 24 * 60 * 60 };
    int folder;
    if (local_open_folder(local, span_str(LOCAL_OWN_FOLDER "/tmp"), &folder) != 0)
        return;
    DIR *stream = fdopendir(folder);
    if (!stream) {
        close(folder);
        return;
    }
    for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        struct stat info;
        if (fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
            info.st_mtim.tv_sec < time(NULL) - DAY)
            unlinkat(folder, entry->d_name, 0);
    }
    closedir(stream);
}

/* ---- changing names --------------------------------------------------------------------------------- */

static int link_new(const struct temporary *t, int folder, const char *name)
{
    if (linkat(t->folder, t->name, folder, name, 0) == 0)
        return 0;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return errno;
    /* The file system has no hard links. */
    return renameat2(t->folder, t->name, folder, name, RENAME_NOREPLACE) == 0 ? 0 : errno;
}

/* Checks that the object still has the version that the put expects. */
static enum dp_status check_version(struct call *call, struct local_store *local, const struct store_put *put)
{
    int fd;
    struct stat info;
    int failed = local_open_object(local, put->key, &fd, &info);
    if (failed == ENOENT)
        return call_fail(call, DP_CONFLICT, "%.*s is gone", SPAN_FMT(put->key));
    if (failed)
        return local_fail(local, failed, "read", put->key, &call->error);
    struct store_version now;
    enum dp_status status = local_version(local, fd, &info, put->key, &now, &call->error);
    close(fd);
    if (status == DP_OK && !store_version_equal(&now, put->expected))
        return call_fail(call, DP_CONFLICT, "%.*s was changed by another writer", SPAN_FMT(put->key));
    return status;
}

/* Fails because a folder could not be synced (errno `failed`) after a name in it changed. */
static enum dp_status fail_sync(struct call *call, const struct local_store *local, struct span key,
                                const char *outcome, int failed)
{
    char reason[128];
    return call_fail(call, DP_NOT_DURABLE, "%s/%.*s %s: its folder cannot be synced: %s", local->path,
                     SPAN_FMT(key), outcome, strerror_r(failed, reason, sizeof reason));
}

/* Gives the file its name, if the put's condition holds. The caller holds the lock, except for STORE_IF_ABSENT.
 * Sets *failed to 0 or an errno. *renamed: the temporary name is gone. */
static enum dp_status take_object_name(struct call *call, struct local_store *local, const struct store_put *put,
                                       const struct temporary *t, int folder, const char *name, int *failed,
                                       bool *renamed)
{
    if (put->condition == STORE_IF_ABSENT) {
        *failed = link_new(t, folder, name);
        return DP_OK;
    }
    enum dp_status status = put->condition == STORE_IF_VERSION ? check_version(call, local, put) : DP_OK;
    if (status == DP_OK) {
        *failed = renameat(t->folder, t->name, folder, name) == 0 ? 0 : errno;
        *renamed = *failed == 0;
    }
    return status;
}

/* Fails a put because a system call failed with errno `failed`, and says why. */
static enum dp_status fail_put(struct call *call, const struct local_store *local, const struct store_put *put,
                               int folder, const char *name, int failed)
{
    struct stat info;
    bool is_folder =
        folder >= 0 && fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
    if (is_folder)
        return call_fail(call, DP_INVALID, "cannot write %s/%.*s: it is a folder", local->path,
                         SPAN_FMT(put->key));
    if (failed == ENOTDIR)
        return call_fail(call, DP_INVALID, "cannot write %s/%.*s: a part of its path is not a folder", local->path,
                         SPAN_FMT(put->key));
    if (failed == EEXIST)
        return call_fail(call, DP_EXISTS, "%.*s exists already", SPAN_FMT(put->key));
    return local_fail(local, failed, "write", put->key, &call->error);
}

/* Gives the finished temporary file the name of the object, and ends `t`. `size` is in bytes; `hash` is the
 * version of the content if size ≤ LOCAL_HASHED_MAX. */
static enum dp_status publish_file(struct call *call, struct local_store *local, struct store_put *put,
                                   struct temporary *t, uint64_t size, const struct store_version *hash)
{
    char name[STORE_PART_MAX + 1] = "";
    int folder = -1, failed = 0, lock = -1;
    bool renamed = false;
    enum dp_status status = put->condition == STORE_IF_ABSENT ? DP_OK : take_lock(call, local, &lock);
    /* ENOENT: another thread removed the empty folder after we opened it, so make it again. We take the lock
     * before the loop: while we wait for it, other threads may make and remove the folder more often than
     * FOLDER_TRIES allows. */
    for (int tries = 0; status == DP_OK && tries < FOLDER_TRIES; tries++) {
        if (folder >= 0)
            close(folder);
        folder = -1;
        failed = local_folder_of(local, put->key, put->condition != STORE_IF_VERSION, &folder, name);
        if (failed == ENOENT && put->condition == STORE_IF_VERSION)
            status = call_fail(call, DP_CONFLICT, "%.*s is gone", SPAN_FMT(put->key));
        else if (!failed)
            status = take_object_name(call, local, put, t, folder, name, &failed, &renamed);
        if (status != DP_OK || failed != ENOENT)
            break;
    }
    if (lock >= 0)
        close(lock);
    if (status == DP_OK && failed)
        status = fail_put(call, local, put, folder, name, failed);
    bool linked = status == DP_OK && !renamed;
    if (linked)
        renamed = unlinkat(t->folder, t->name, 0) == 0 || errno == ENOENT;
    if (status == DP_OK) {
        struct stat info;
        if (size <= LOCAL_HASHED_MAX)
            put->version = *hash;
        else if (fstat(t->fd, &info) == 0)
            local_version_of_file(&info, &put->version);
        if (fsync(folder) != 0)
            status = fail_sync(call, local, put->key, "is visible, but a crash of the host may undo that", errno);
    }
    temporary_end(t, renamed);
    if (folder >= 0)
        close(folder);
    return status;
}

/* ---- operations ------------------------------------------------------------------------------------- */

enum dp_status local_put(struct call *call, struct store *store, struct store_put *put)
{
    struct local_store *local = local_of(store);
    struct temporary t;
    enum dp_status status = temporary_create(local, put->key, &t, &call->error);
    if (status != DP_OK)
        return status;
    int failed = os_write_all(t.fd, put->body);
    if (!failed)
        failed = settle_file(t.fd);
    if (failed) {
        temporary_end(&t, false);
        return local_fail(local, failed, "write", put->key, &call->error);
    }
    struct store_version hash = {0};
    if (put->body.len <= LOCAL_HASHED_MAX)
        local_version_of_bytes(put->body, &hash);
    status = publish_file(call, local, put, &t, put->body.len, &hash);
    put->date_ms = os_wall_ms();
    return status;
}

/* Removes the folders above `key` that are now empty, because an object store has no empty folders. */
static void prune_folders(struct local_store *local, struct span key)
{
    for (;;) {
        while (key.len > 0 && key.data[key.len - 1] != '/')
            key.len--;
        if (key.len == 0)
            return;
        key.len--;
        char name[STORE_PART_MAX + 1];
        int folder;
        if (local_folder_of(local, key, false, &folder, name) != 0)
            return;
        int failed = unlinkat(folder, name, AT_REMOVEDIR);
        close(folder);
        if (failed)
            return;
    }
}

enum dp_status local_remove(struct call *call, struct store *store, struct span key)
{
    struct local_store *local = local_of(store);
    char name[STORE_PART_MAX + 1];
    int folder, lock;
    int failed = local_folder_of(local, key, false, &folder, name);
    if (failed == ENOENT || failed == ENOTDIR)
        return DP_OK;
    if (failed)
        return local_fail(local, failed, "remove", key, &call->error);
    struct stat info;
    enum dp_status status = DP_OK;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
        goto out; /* not an object */
    status = take_lock(call, local, &lock);
    if (status != DP_OK)
        goto out;
    failed = unlinkat(folder, name, 0) == 0 || errno == ENOENT ? 0 : errno;
    close(lock);
    if (failed)
        status = local_fail(local, failed, "remove", key, &call->error);
    else if (fsync(folder) != 0)
        status = fail_sync(call, local, key, "is removed, but a crash of the host may bring it back", errno);
out:
    close(folder);
    if (status == DP_OK)
        prune_folders(local, key);
    return status;
}

/* The bytes of a file are durable before it has its name, so only its folder may still have to be synced. */
enum dp_status local_settle(struct call *call, struct store *store, struct span key)
{
    struct local_store *local = local_of(store);
    char name[STORE_PART_MAX + 1];
    int folder;
    int failed = local_folder_of(local, key, false, &folder, name);
    if (failed == ENOENT || failed == ENOTDIR)
        return DP_OK;
    if (failed)
        return local_fail(local, failed, "sync", key, &call->error);
    enum dp_status status = DP_OK;
    if (fsync(folder) != 0)
        status = fail_sync(call, local, key, "is visible, but a crash of the host may undo that", errno);
    close(folder);
    return status;
}

struct local_upload {
    struct store_upload base;
    struct temporary file;
    uint64_t size;
    size_t key_len;
    uint8_t key[STORE_KEY_MAX];
};

enum dp_status local_upload_begin(struct call *call, struct store *store, struct span key,
                                  struct store_upload **out)
{
    struct local_upload *u = mem_alloc(sizeof *u);
    if (!u)
        return call_nomem(call, "an upload");
    *u = (struct local_upload){.base = {store}, .key_len = key.len};
    memcpy(u->key, key.data, key.len);
    enum dp_status status = temporary_create(local_of(store), key, &u->file, &call->error);
    if (status != DP_OK) {
        mem_free(u);
        return status;
    }
    *out = &u->base;
    return DP_OK;
}

enum dp_status local_upload_write(struct call *call, struct store_upload *upload, struct span bytes)
{
    struct local_upload *u = (struct local_upload *)upload;
    int failed = os_write_all(u->file.fd, bytes);
    if (failed)
        return local_fail(local_of(upload->store), failed, "write", span_of(u->key, u->key_len), &call->error);
    u->size += bytes.len;
    return DP_OK;
}

void local_upload_abort(struct store_upload *upload)
{
    struct local_upload *u = (struct local_upload *)upload;
    temporary_end(&u->file, false);
    mem_free(u);
}

enum dp_status local_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version)
{
    struct local_upload *u = (struct local_upload *)upload;
    struct local_store *local = local_of(upload->store);
    struct store_put put = {.key = span_of(u->key, u->key_len)};
    struct store_version hash = {0};
    struct stat info = {.st_size = (off_t)u->size};
    enum dp_status status = DP_OK;
    int failed = settle_file(u->file.fd);
    if (failed)
        status = local_fail(local, failed, "write", put.key, &call->error);
    else if (u->size <= LOCAL_HASHED_MAX)
        status = local_version(local, u->file.fd, &info, put.key, &hash, &call->error);
    if (status != DP_OK) {
        local_upload_abort(upload);
        return status;
    }
    status = publish_file(call, local, &put, &u->file, u->size, &hash);
    *version = put.version;
    mem_free(u);
    return status;
}
