/* kill_at_write.c: a library for LD_PRELOAD that kills a program at its n-th write below a folder, or fills the disk.
 *
 *     DIPPER_KILL_ROOT   the folder (an absolute path); calls that touch nothing below it are not counted
 *     DIPPER_KILL_AT     n ≥ 1: SIGKILL instead of the n-th call; of a write, half of its bytes are written first
 *     DIPPER_FULL_AT     n ≥ 1: from the n-th call on, calls that need room fail with ENOSPC
 *     DIPPER_UNSYNCED_AT n ≥ 1: the n-th call fails with EIO, if it is an fsync or fdatasync
 *     DIPPER_KILL_COUNT  a file that receives "COUNT\n" at the end of the process, unless it was killed
 *
 * Counted: write, pwrite, writev, pwritev, fsync, fdatasync, ftruncate, futimens, rename*, link*, unlink*, mkdir*,
 * rmdir, and opening with O_CREAT. A test runs the program once to learn the count, then once for each n up to the
 * count. The library makes each call with syscall(2), so it needs nothing else of the C library.
 */
#undef _FILE_OFFSET_BITS /* this file defines both open and open64 */
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define OUR __attribute__((visibility("default")))

enum { TAKES_ROOM = 1, IS_WRITE = 2, IS_SYNC = 4 };

static _Atomic long count;
static char root[PATH_MAX];
static size_t root_len;
static long kill_at, full_at, unsynced_at;

__attribute__((constructor)) static void start(void)
{
    const char *folder = getenv("DIPPER_KILL_ROOT"), *kill_text = getenv("DIPPER_KILL_AT");
    const char *full_text = getenv("DIPPER_FULL_AT"), *unsynced_text = getenv("DIPPER_UNSYNCED_AT");
    if (folder && strlen(folder) < sizeof root) {
        if (!realpath(folder, root))
            memcpy(root, folder, strlen(folder) + 1);
        root_len = strlen(root);
    }
    kill_at = kill_text ? strtol(kill_text, NULL, 10) : 0;
    full_at = full_text ? strtol(full_text, NULL, 10) : 0;
    unsynced_at = unsynced_text ? strtol(unsynced_text, NULL, 10) : 0;
}

__attribute__((destructor)) static void finish(void)
{
    const char *path = getenv("DIPPER_KILL_COUNT");
    char text[32];
    int len = snprintf(text, sizeof text, "%ld\n", (long)count);
    if (!path)
        return;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd >= 0) {
        (void)!syscall(SYS_write, fd, text, len);
        syscall(SYS_close, fd);
    }
}

static bool is_below(const char *path)
{
    return root_len && strncmp(path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == '\0');
}

/* Returns whether the descriptor's file is below the root. */
static bool fd_below(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long len = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (len <= 0)
        return false;
    path[len] = '\0';
    return is_below(path);
}

static bool path_below(int folder, const char *name)
{
    char path[PATH_MAX];
    if (name[0] == '/')
        return is_below(name);
    if (folder != AT_FDCWD)
        return fd_below(folder);
    long len = syscall(SYS_getcwd, path, sizeof path);
    return len > 0 && is_below(path);
}

/* An existing name needs no room on the disk. */
static int room_for(int folder, const char *name)
{
    return syscall(SYS_faccessat, folder, name, F_OK) == 0 ? 0 : TAKES_ROOM;
}

/* Counts a call. Returns 0 if it may go on, IS_WRITE if it must write half and die, or -1 with errno set. */
static int pass(bool below, int kind)
{
    if (!below)
        return 0;
    long n = ++count;
    if (n == kill_at) {
        if (kind & IS_WRITE)
            return IS_WRITE;
        raise(SIGKILL);
    }
    if (full_at && n >= full_at && (kind & TAKES_ROOM)) {
        errno = ENOSPC;
        return -1;
    }
    if (n == unsynced_at && (kind & IS_SYNC)) {
        errno = EIO;
        return -1;
    }
    return 0;
}

OUR ssize_t write(int fd, const void *bytes, size_t len)
{
    int verdict = pass(fd_below(fd), TAKES_ROOM | IS_WRITE);
    if (verdict < 0)
        return -1;
    if (verdict == IS_WRITE) {
        (void)!syscall(SYS_write, fd, bytes, len / 2);
        raise(SIGKILL);
    }
    return syscall(SYS_write, fd, bytes, len);
}

OUR ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    int verdict = pass(fd_below(fd), TAKES_ROOM | IS_WRITE);
    if (verdict < 0)
        return -1;
    if (verdict == IS_WRITE) {
        (void)!syscall(SYS_pwrite64, fd, bytes, len / 2, offset);
        raise(SIGKILL);
    }
    return syscall(SYS_pwrite64, fd, bytes, len, offset);
}

OUR ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset)
{
    return pwrite(fd, bytes, len, offset);
}

OUR ssize_t writev(int fd, const struct iovec *parts, int part_count)
{
    return pass(fd_below(fd), TAKES_ROOM) < 0 ? -1 : syscall(SYS_writev, fd, parts, part_count);
}

OUR ssize_t pwritev(int fd, const struct iovec *parts, int part_count, off_t offset)
{
    return pass(fd_below(fd), TAKES_ROOM) < 0 ? -1 : syscall(SYS_pwritev, fd, parts, part_count, offset, 0L);
}

OUR int fsync(int fd)
{
    return pass(fd_below(fd), IS_SYNC) < 0 ? -1 : (int)syscall(SYS_fsync, fd);
}

OUR int fdatasync(int fd)
{
    return pass(fd_below(fd), IS_SYNC) < 0 ? -1 : (int)syscall(SYS_fdatasync, fd);
}

OUR int ftruncate(int fd, off_t len)
{
    return pass(fd_below(fd), 0) < 0 ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

OUR int ftruncate64(int fd, off64_t len)
{
    return ftruncate(fd, len);
}

OUR int futimens(int fd, const struct timespec times[2])
{
    return pass(fd_below(fd), 0) < 0 ? -1 : (int)syscall(SYS_utimensat, fd, NULL, times, 0);
}

OUR int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (pass(path_below(from_folder, from) || path_below(to_folder, to), 0) < 0)
        return -1;
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

OUR int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return renameat2(from_folder, from, to_folder, to, 0);
}

OUR int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

OUR int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    if (pass(path_below(from_folder, from) || path_below(to_folder, to), TAKES_ROOM) < 0)
        return -1;
    return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

OUR int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

OUR int unlinkat(int folder, const char *name, int flags)
{
    return pass(path_below(folder, name), 0) < 0 ? -1 : (int)syscall(SYS_unlinkat, folder, name, flags);
}

OUR int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

OUR int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

OUR int mkdirat(int folder, const char *name, mode_t mode)
{
    if (pass(path_below(folder, name), room_for(folder, name)) < 0)
        return -1;
    return (int)syscall(SYS_mkdirat, folder, name, mode);
}

OUR int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
    if ((flags & O_CREAT) && pass(path_below(folder, path), room_for(folder, path)) < 0)
        return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

/* Reads the mode argument, which exists only if the flags create a file. */
#define MODE_OF(flags, mode)                                                        \
    do {                                                                            \
        va_list arguments;                                                          \
        va_start(arguments, flags);                                                 \
        (mode) = ((flags) & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, mode_t) : 0; \
        va_end(arguments);                                                          \
    } while (0)

OUR int open(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_any(AT_FDCWD, path, flags, mode);
}

OUR int open64(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_any(AT_FDCWD, path, flags, mode);
}

OUR int openat(int folder, const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_any(folder, path, flags, mode);
}

OUR int openat64(int folder, const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_any(folder, path, flags, mode);
}
