/* local/local.h: the struct, constants and functions that the files of the local store share.
 *
 * Layout of a root folder:
 *     <key>            an object: a regular file at its key's path
 *     .dipper/lock     flock(2)ed while a writer checks a condition and changes a name
 *     .dipper/tmp/…    unfinished files; local_sweep removes those of killed processes after a day
 *
 * Each operation opens the root by its path. So it finds a root that was replaced (restored, mounted anew,
 * renamed), and reports a missing root (ESTALE here, DP_UNAVAILABLE outside) instead of taking it for an empty
 * one.
 *
 * No path leads through a symbolic link below the root, nor through "..": the store opens each part of a key by
 * itself, relative to its folder, with O_NOFOLLOW. Functions return an errno (0: success) where their caller
 * judges the failure.
 */
#ifndef STORE_LOCAL_H
#define STORE_LOCAL_H

#include <stdio.h>
#include <sys/stat.h>

#include "os/random.h"
#include "store/block_pool.h"
#include "store/implement.h"

/* The version of an object up to this size is a hash of its content; of a larger one, its inode, times and
 * size. */
enum { LOCAL_HASHED_MAX = 256 * 1024, LOCAL_DURABLE_PLACES = 256 };

#define LOCAL_OWN_FOLDER ".dipper"

struct local_store {
    struct store base;
    struct store_block_pool *blocks; /* for the bytes that reads return */
    /* Hashes of the folders whose entry in their parent is durable. Each hash lies in one of a few places; 0 marks
     * a free place. */
    _Atomic uint64_t durable[LOCAL_DURABLE_PLACES];
    const char *root; /* absolute path; its text lies behind `path` */
    char path[];      /* the path as given, for messages */
};

static inline struct local_store *local_of(struct store *store)
{
    return (struct local_store *)store;
}

/* Fills `error` for the errno `failed` of a system call on the object `key`, with its path in the message. */
enum dp_status local_fail(const struct local_store *local, int failed, const char *doing, struct span key,
                          struct dp_error *error);

/* Opens the folder that holds `key`'s last part, and sets `name` to that part. `create` makes missing folders,
 * durably. */
int local_folder_of(struct local_store *local, struct span key, bool create, int *folder,
                    char name[STORE_PART_MAX + 1]);
/* Opens the folder at `path` (empty: the root). */
int local_open_folder(struct local_store *local, struct span path, int *folder);
/* Opens an object for reading; ENOENT unless it is a regular file. */
int local_open_object(struct local_store *local, struct span key, int *fd, struct stat *info);

/* Returns whether both stats describe one unchanged file. */
bool local_same_file(const struct stat *a, const struct stat *b);
/* Set *out to the version of an object: the first for an object of more than LOCAL_HASHED_MAX bytes, the second
 * for a smaller object with these bytes. */
void local_version_of_file(const struct stat *info, struct store_version *out);
void local_version_of_bytes(struct span bytes, struct store_version *out);
/* Finds the version of an open object; reads the object if it is small. `local` and `key` are for messages. */
enum dp_status local_version(const struct local_store *local, int fd, const struct stat *info, struct span key,
                             struct store_version *out, struct dp_error *error);

/* Opens a folder of this host as a store; `create` makes a missing folder. */
enum dp_status store_local_open(struct call *call, const char *path, bool create, struct store **out);

bool local_is_current(struct store *store, struct span key, const struct store_version *version);
void local_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n);
enum dp_status local_head(struct call *call, struct store *store, struct span key, struct store_info *out);
enum dp_status local_put(struct call *call, struct store *store, struct store_put *put);
enum dp_status local_remove(struct call *call, struct store *store, struct span key);
enum dp_status local_settle(struct call *call, struct store *store, struct span key);
enum dp_status local_upload_begin(struct call *call, struct store *store, struct span key,
                                  struct store_upload **out);
enum dp_status local_upload_write(struct call *call, struct store_upload *upload, struct span bytes);
enum dp_status local_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version);
void local_upload_abort(struct store_upload *upload);
enum dp_status local_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          bool folders, size_t max, struct store_listing *out);
/* Removes files that killed writers left in .dipper/tmp more than a day ago. Ignores failures. */
void local_sweep(struct local_store *local);

#endif
