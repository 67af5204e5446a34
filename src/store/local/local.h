/* local.h: shared by the files of store/local/, the store over a local folder; private to this room.
 *
 * Layout of a root folder:
 *     <key>            an object: a regular file at its key's path
 *     .dipper/lock     flock(2)ed while a condition is checked and a name changes hands
 *     .dipper/tmp/…    files being written; one that a killed process left is removed a day later
 *
 * The root is opened by its path for each operation, so one that was replaced (restored, mounted anew, renamed) is seen
 * again, and one that is away is told as such (ESTALE here, DP_UNAVAILABLE outside), not as empty.
 *
 * No path is ever resolved through a symbolic link below the root, nor through "..": every part of a key is
 * opened by itself, relative to its folder, with O_NOFOLLOW. Functions answer an errno (0: fine) where the
 * caller decides what it means.
 */
#ifndef STORE_LOCAL_H
#define STORE_LOCAL_H

#include <stdio.h>
#include <sys/stat.h>

#include "os/random.h"
#include "store/block_pool.h"
#include "store/implement.h"

/* Objects up to this size have a hash of their content as version, larger ones inode, times and size. */
enum { LOCAL_HASHED_MAX = 256 * 1024, LOCAL_DURABLE_PLACES = 256 };

#define LOCAL_OWN_FOLDER ".dipper"

struct local_store {
    struct store base;
    struct store_block_pool *blocks; /* of what is read */
    /* Folders whose entry in their parent is durable: hashes of their identity, each in one of a few places. 0: none. */
    _Atomic uint64_t durable[LOCAL_DURABLE_PLACES];
    const char *root; /* its path, absolute; behind `path` */
    char path[];      /* its name, for messages */
};

static inline struct local_store *local_of(struct store *store)
{
    return (struct local_store *)store;
}

/* Fills `error` for errno `failed` of a system call on the object `key`, with its path in the message. */
enum dp_status local_fail(const struct local_store *local, int failed, const char *doing, struct span key,
                          struct dp_error *error);

/* The folder that holds `key`'s last part (a new descriptor) and that part as a name. `create` makes the
 * folders that are missing, durably. */
int local_folder_of(struct local_store *local, struct span key, bool create, int *folder,
                    char name[STORE_PART_MAX + 1]);
/* Opens the folder at `path` (parts with '/' between, or empty: the root itself). */
int local_open_folder(struct local_store *local, struct span path, int *folder);
/* Opens an object for reading; ENOENT unless it is a regular file. */
int local_open_object(struct local_store *local, struct span key, int *fd, struct stat *info);

/* Whether the two stats are of one unchanged file. */
bool local_same_file(const struct stat *a, const struct stat *b);
/* The version of an object of more than LOCAL_HASHED_MAX bytes, and of one whose bytes are given. */
void local_version_of_file(const struct stat *info, struct store_version *out);
void local_version_of_bytes(struct span bytes, struct store_version *out);
/* The version of an open object, reading it when it is small. `store` and `key` are for messages. */
enum dp_status local_version(const struct local_store *local, int fd, const struct stat *info, struct span key,
                             struct store_version *out, struct dp_error *error);

/* Opens a folder of this host; `create` makes it where it is missing. */
enum dp_status store_local_open(struct call *call, const char *path, bool create, struct store **out);

void local_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n);
enum dp_status local_head(struct call *call, struct store *store, struct span key, struct store_info *out);
enum dp_status local_put(struct call *call, struct store *store, struct store_put *put);
enum dp_status local_remove(struct call *call, struct store *store, struct span key);
enum dp_status local_upload_begin(struct call *call, struct store *store, struct span key,
                                  struct store_upload **out);
enum dp_status local_upload_write(struct call *call, struct store_upload *upload, struct span bytes);
enum dp_status local_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version);
void local_upload_abort(struct store_upload *upload);
enum dp_status local_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          bool folders, size_t max, struct store_listing *out);
/* Removes files that killed writers left in .dipper/tmp more than a day ago. Failures do not matter. */
void local_sweep(struct local_store *local);

#endif
