/* spill.c: a growing buffer that moves to an unnamed temporary file when it exceeds memory_max bytes. */
#include "os/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/file.h"

enum { FILE_BUFFER = 1024 * 1024, PATH_LEN = 4096 };

void spill_init(struct spill *s, size_t memory_max)
{
    *s = (struct spill){.memory_max = memory_max < FILE_BUFFER ? FILE_BUFFER : memory_max, .fd = -1};
    buffer_init(&s->memory, s->memory_max);
}

void spill_clear(struct spill *s)
{
    if (s->mapped)
        munmap(s->mapped, s->mapped_len);
    if (s->fd >= 0)
        close(s->fd);
    s->mapped = NULL;
    s->fd = -1;
    s->len = 0;
    s->memory.max = s->memory_max;
    buffer_clear(&s->memory);
}

void spill_deinit(struct spill *s)
{
    spill_clear(s);
    buffer_deinit(&s->memory);
}

/* Opens an unnamed file. Not every file system has O_TMPFILE, so it makes a named file and unlinks it at once. */
static enum dp_status spill_open_file(struct spill *s, struct dp_error *error)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/var/tmp";
    char path[PATH_LEN];
    int len = snprintf(path, sizeof path, "%s/dipper-XXXXXX", folder);
    if (len < 0 || len >= (int)sizeof path)
        return dp_fail(error, DP_INVALID, "TMPDIR is too long");
    s->fd = mkostemp(path, O_CLOEXEC);
    if (s->fd < 0)
        return dp_fail_errno(error, errno, "make a temporary file in", folder);
    unlink(path);
    return DP_OK;
}

static enum dp_status spill_write(struct spill *s, struct span bytes, struct dp_error *error)
{
    int failed = os_write_all(s->fd, bytes);
    return failed ? dp_fail_errno(error, failed, "write", "a temporary file (TMPDIR names its folder)") : DP_OK;
}

static enum dp_status spill_flush(struct spill *s, struct dp_error *error)
{
    enum dp_status status = s->fd < 0 ? spill_open_file(s, error) : DP_OK;
    if (status == DP_OK)
        status = spill_write(s, buffer_span(&s->memory), error);
    if (status == DP_OK && s->memory.max != FILE_BUFFER) {
        buffer_deinit(&s->memory);
        buffer_init(&s->memory, FILE_BUFFER);
    }
    if (status == DP_OK)
        buffer_clear(&s->memory);
    return status;
}

enum dp_status spill_append(struct spill *s, struct span bytes, struct dp_error *error)
{
    enum dp_status status = DP_OK;
    size_t most = s->fd < 0 ? s->memory_max : FILE_BUFFER;
    if (bytes.len > most - (s->memory.len < most ? s->memory.len : most))
        status = spill_flush(s, error);
    if (status)
        return status;
    if (s->fd >= 0 && bytes.len >= FILE_BUFFER)
        status = spill_write(s, bytes, error);
    else {
        buffer_append(&s->memory, bytes);
        status = buffer_check(&s->memory, "bytes that wait for a temporary file", error);
    }
    if (status == DP_OK)
        s->len += bytes.len;
    return status;
}

enum dp_status spill_view(struct spill *s, struct span *out, struct dp_error *error)
{
    if (s->fd < 0) {
        *out = buffer_span(&s->memory);
        return DP_OK;
    }
    enum dp_status status = spill_flush(s, error);
    if (status)
        return status;
    if (s->mapped)
        munmap(s->mapped, s->mapped_len);
    s->mapped_len = (size_t)s->len;
    s->mapped = mmap(NULL, s->mapped_len, PROT_READ, MAP_PRIVATE, s->fd, 0);
    if (s->mapped == MAP_FAILED) {
        s->mapped = NULL;
        return dp_fail_errno(error, errno, "map", "a temporary file");
    }
    *out = span_of(s->mapped, s->mapped_len);
    return DP_OK;
}

void spill_unload(const struct spill *s)
{
    if (s->mapped)
        madvise(s->mapped, s->mapped_len, MADV_DONTNEED);
}

enum dp_status spill_read(const struct spill *s, uint64_t at, size_t len, void *to, struct dp_error *error)
{
    uint8_t *next = to;
    if (s->fd < 0) {
        memcpy(to, s->memory.data + at, len);
        return DP_OK;
    }
    while (len) {
        ssize_t got = pread(s->fd, next, len, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return dp_fail_errno(error, got ? errno : EIO, "read", "a temporary file");
        next += got;
        at += (uint64_t)got;
        len -= (size_t)got;
    }
    return DP_OK;
}
