/* file.c: reads, maps and atomically writes whole files, makes folders, and reads parts of large files. */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/random.h"

/* Fails because the buffer for a file failed: the file is too large, or there is no memory. */
static enum dp_status fail_buffer(const struct buffer *b, const char *path, struct dp_error *error)
{
    if (b->status == DP_NOMEM)
        return dp_fail_nomem(error, path);
    return dp_fail(error, b->status, "%s is larger than the limit of %zu bytes", path, b->max);
}

enum dp_status os_read_file(const char *path, struct buffer *out, struct dp_error *error)
{
    enum { READ_SIZE = 1 << 16 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return dp_fail_errno(error, errno, "open", path);
    enum dp_status status = DP_OK;
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 && (uint64_t)info.st_size <= SIZE_MAX &&
        !buffer_reserve(out, (size_t)info.st_size)) {
        status = fail_buffer(out, path, error);
        goto out;
    }
    for (;;) {
        size_t room = out->cap - out->len;
        if (room == 0 && out->len < out->max) {
            room = out->max - out->len < READ_SIZE ? out->max - out->len : READ_SIZE;
            if (!buffer_reserve(out, room)) {
                status = fail_buffer(out, path, error);
                goto out;
            }
        }
        uint8_t spare; /* when the buffer is full: a byte read here shows that the file is larger */
        ssize_t got = room ? read(fd, out->data + out->len, room) : read(fd, &spare, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = dp_fail_errno(error, errno, "read", path);
            goto out;
        }
        if (got == 0)
            goto out;
        if (room == 0) {
            out->status = DP_TOO_LARGE;
            status = fail_buffer(out, path, error);
            goto out;
        }
        out->len += (size_t)got;
    }
out:
    close(fd);
    return status;
}

int os_write_all(int fd, struct span bytes)
{
    while (bytes.len) {
        ssize_t put = write(fd, bytes.data, bytes.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno;
        bytes.data += put;
        bytes.len -= (size_t)put;
    }
    return 0;
}

/* Makes the creation or renaming of `path` durable: syncs its folder. Returns 0 or an errno. */
static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash) {
        memcpy(folder, ".", 2);
    } else {
        size_t len = slash == path ? 1 : (size_t)(slash - path);
        if (len >= sizeof folder)
            return ENAMETOOLONG;
        memcpy(folder, path, len);
        folder[len] = '\0';
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failed = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return failed;
}

struct os_new_file {
    int fd;
    char *temporary; /* name of the unfinished file; lies after `path` in one allocation */
    char path[];
};

static enum dp_status begin_file(const char *path, mode_t mode, struct os_new_file **out, struct dp_error *error)
{
    char unique[ULID_LEN + 1];
    size_t len = strlen(path), room = len + sizeof unique + sizeof "..tmp";
    *out = NULL;
    enum dp_status status = os_ulid(unique, error);
    if (status != DP_OK)
        return status;
    struct os_new_file *file = mem_alloc(sizeof *file + len + 1 + room);
    if (!file)
        return dp_fail_nomem(error, path);
    memcpy(file->path, path, len + 1);
    file->temporary = file->path + len + 1;
    snprintf(file->temporary, room, "%s.%s.tmp", path, unique);
    file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file->fd < 0) {
        status = dp_fail_errno(error, errno, "create", file->temporary);
        mem_free(file);
        return status;
    }
    *out = file;
    return DP_OK;
}

enum dp_status os_new_file_begin(const char *path, struct os_new_file **out, struct dp_error *error)
{
    return begin_file(path, 0666, out, error);
}

enum dp_status os_new_file_write(struct os_new_file *file, struct span bytes, struct dp_error *error)
{
    int failed = os_write_all(file->fd, bytes);
    return failed ? dp_fail_errno(error, failed, "write", file->path) : DP_OK;
}

enum dp_status os_new_file_finish(struct os_new_file *file, struct dp_error *error)
{
    int failed = fsync(file->fd) == 0 ? 0 : errno;
    if (close(file->fd) != 0 && !failed)
        failed = errno;
    if (!failed && rename(file->temporary, file->path) != 0)
        failed = errno;
    enum dp_status status = DP_OK;
    if (failed) {
        unlink(file->temporary);
        status = dp_fail_errno(error, failed, "write", file->path);
    } else {
        failed = sync_folder(file->path);
        if (failed)
            status = dp_fail_errno(error, failed, "make durable", file->path);
    }
    mem_free(file);
    return status;
}

void os_new_file_abort(struct os_new_file *file)
{
    if (!file)
        return;
    close(file->fd);
    unlink(file->temporary);
    mem_free(file);
}

static enum dp_status write_file(const char *path, mode_t mode, struct span bytes, struct dp_error *error)
{
    struct os_new_file *file;
    enum dp_status status = begin_file(path, mode, &file, error);
    if (status != DP_OK)
        return status;
    status = os_new_file_write(file, bytes, error);
    if (status == DP_OK)
        return os_new_file_finish(file, error);
    os_new_file_abort(file);
    return status;
}

enum dp_status os_write_file(const char *path, struct span bytes, struct dp_error *error)
{
    return write_file(path, 0666, bytes, error);
}

enum dp_status os_write_secret_file(const char *path, struct span bytes, struct dp_error *error)
{
    return write_file(path, 0600, bytes, error);
}

/* Makes one folder durably, or keeps an existing one. Returns 0 or an errno. */
static int make_dir(const char *path)
{
    if (mkdir(path, 0777) == 0)
        return sync_folder(path);
    int failed = errno;
    struct stat info;
    if (failed != EEXIST || stat(path, &info) != 0)
        return failed;
    return S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
}

enum dp_status os_make_dirs(const char *path, struct dp_error *error)
{
    char partial[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0)
        return dp_fail(error, DP_INVALID, "the path of a folder is empty");
    if (len >= sizeof partial)
        return dp_fail_errno(error, ENAMETOOLONG, "create", path);
    memcpy(partial, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (partial[i] != '/' && partial[i] != '\0')
            continue;
        char kept = partial[i];
        partial[i] = '\0';
        int failed = make_dir(partial);
        if (failed)
            return dp_fail_errno(error, failed, "create", partial);
        partial[i] = kept;
    }
    return DP_OK;
}

enum dp_status os_input_open(const char *path, struct os_input *out, struct dp_error *error)
{
    struct stat info;
    *out = (struct os_input){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (out->fd < 0)
        return dp_fail_errno(error, errno, "open", path);
    enum dp_status status = DP_OK;
    if (fstat(out->fd, &info) != 0)
        status = dp_fail_errno(error, errno, "open", path);
    else if (!S_ISREG(info.st_mode))
        status = dp_fail(error, DP_INVALID, "%s is not a regular file", path);
    else
        out->size = (uint64_t)info.st_size;
    if (status != DP_OK)
        os_input_close(out);
    return status;
}

enum dp_status os_input_read(const struct os_input *input, const char *path, uint64_t offset, void *into,
                             size_t len, struct dp_error *error)
{
    for (size_t have = 0; have < len;) {
        ssize_t got = pread(input->fd, (uint8_t *)into + have, len - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return dp_fail_errno(error, errno, "read", path);
        if (got == 0)
            return dp_fail(error, DP_STALE, "%s became shorter while it was read", path);
        have += (size_t)got;
    }
    return DP_OK;
}

void os_input_close(struct os_input *input)
{
    if (input->fd >= 0)
        close(input->fd);
    input->fd = -1;
}

enum dp_status os_map_file(const char *path, struct os_map *out, struct dp_error *error)
{
    out->bytes = span_of(NULL, 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return dp_fail_errno(error, errno, "open", path);
    enum dp_status status = DP_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = dp_fail_errno(error, errno, "open", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = dp_fail(error, DP_INVALID, "%s is not a regular file", path);
    } else if ((uint64_t)info.st_size > SIZE_MAX) {
        status = dp_fail(error, DP_TOO_LARGE, "%s does not fit into the address space", path);
    } else if (info.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
            status = dp_fail_errno(error, errno, "map", path);
        else
            out->bytes = span_of(bytes, (size_t)info.st_size);
    }
    close(fd);
    return status;
}

/* Copies an open, non-empty file into a new mapping without a file. */
static enum dp_status load_input(const struct os_input *input, const char *path, struct os_map *out,
                                 struct dp_error *error)
{
    const size_t len = (size_t)input->size;
    void *bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return dp_fail_nomem(error, path);
    enum dp_status status = os_input_read(input, path, 0, bytes, len, error);
    if (status == DP_OK && mprotect(bytes, len, PROT_READ) != 0)
        status = dp_fail_errno(error, errno, "protect", path);
    if (status == DP_OK)
        out->bytes = span_of(bytes, len);
    else
        munmap(bytes, len);
    return status;
}

enum dp_status os_load_file(const char *path, struct os_map *out, struct dp_error *error)
{
    struct os_input input;
    out->bytes = span_of(NULL, 0);
    enum dp_status status = os_input_open(path, &input, error);
    if (status != DP_OK)
        return status;
    if (input.size > SIZE_MAX)
        status = dp_fail(error, DP_TOO_LARGE, "%s does not fit into the address space", path);
    else if (input.size > 0)
        status = load_input(&input, path, out, error);
    os_input_close(&input);
    return status;
}

void os_unmap(struct os_map *map)
{
    if (map->bytes.len)
        munmap((void *)(uintptr_t)map->bytes.data, map->bytes.len);
    map->bytes = span_of(NULL, 0);
}
