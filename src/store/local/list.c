/* local/list.c: lists a local folder in the order of keys.
 *
 * The code walks folders depth first. In each folder it sorts the names like keys: a folder's name ends with '/',
 * so "a-b" comes before "a/b". The walk does not enter a folder that cannot add to the listing. Only regular files
 * whose names can be keys are objects; the walk skips symbolic links, devices and the store's own folder. A file
 * that disappears during the walk is not listed.
 */
#include "store/local/local.h"

#include "base/array.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/listing.h"

enum { NAMES_MAX_BYTES = 1 << 30 };

struct folder_walk {
    struct local_store *local;
    struct store_lister lister;
    uint8_t key[STORE_KEY_MAX + STORE_PART_MAX + 2]; /* key of the current entry */
    bool full;
};

/* The sorted names of one folder; the names of its folders end with '/'. */
struct folder_names {
    struct span *list;
    size_t count, capacity;
    struct arena arena;
};

static int compare_folder_names(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

static bool names_add(struct folder_names *names, struct span name)
{
    struct span *list =
        arena_reserve(&names->arena, names->list, names->count, &names->capacity, sizeof *list, 64);
    struct span kept = arena_copy(&names->arena, name);
    if (!list || !kept.data)
        return false;
    names->list = list;
    names->list[names->count++] = kept;
    return true;
}

/* Returns the kind of a directory entry: DT_REG, DT_DIR, or another value for other kinds. */
static unsigned char entry_kind(int folder, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    struct stat info;
    if (fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return DT_UNKNOWN;
    return S_ISREG(info.st_mode) ? DT_REG : S_ISDIR(info.st_mode) ? DT_DIR : DT_UNKNOWN;
}

/* Writes the entry's name (a folder's with its '/') after w->key[0, base). Returns the length of the whole key; 0
 * if the entry is not to be listed. */
static size_t entry_key(struct folder_walk *w, size_t base, int folder, const struct dirent *entry)
{
    struct span name = span_str(entry->d_name);
    if (base == 0 && span_equal_str(name, LOCAL_OWN_FOLDER))
        return 0;
    unsigned char kind = entry_kind(folder, entry);
    if ((kind != DT_REG && kind != DT_DIR) || name.len > STORE_PART_MAX)
        return 0;
    memcpy(w->key + base, name.data, name.len);
    size_t len = base + name.len;
    if (store_key_check(span_of(w->key, len), NULL) != DP_OK)
        return 0;
    if (kind == DT_DIR)
        w->key[len++] = '/';
    return len;
}

/* Gathers and sorts the names in the folder `stream` that may add to the listing. */
static enum dp_status gather_names(struct folder_walk *w, DIR *stream, size_t base, struct folder_names *names)
{
    errno = 0;
    for (const struct dirent *entry = readdir(stream); entry; errno = 0, entry = readdir(stream)) {
        size_t len = entry_key(w, base, dirfd(stream), entry);
        if (len && store_lister_wants_below(&w->lister, span_of(w->key, len)) &&
            !names_add(names, span_of(w->key + base, len - base)))
            return call_nomem(w->lister.call, "a listing");
    }
    if (errno)
        return local_fail(w->local, errno, "list", span_of(w->key, base), &w->lister.call->error);
    if (names->count)
        qsort(names->list, names->count, sizeof *names->list, compare_folder_names);
    return DP_OK;
}

static enum dp_status list_folder(struct folder_walk *w, int folder, size_t base);

/* Adds a file with the key w->key[0, len) to the listing, or lists the folder of that name. */
static enum dp_status visit_entry(struct folder_walk *w, int folder, const char *name, size_t len)
{
    struct span key = span_of(w->key, len);
    struct stat info;
    /* Checked again: since gather_names, an earlier entry may have put this one's folder into the listing. */
    if (!store_lister_wants_below(&w->lister, key))
        return DP_OK;
    if (key.data[len - 1] != '/') {
        if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
            return DP_OK;
        return store_lister_add(&w->lister, key, (uint64_t)info.st_size, &w->full);
    }
    int below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below >= 0)
        return list_folder(w, below, len);
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
        return DP_OK;
    return local_fail(w->local, errno, "list", key, &w->lister.call->error);
}

/* Lists the entries of `folder`, whose keys begin with w->key[0, base), and closes it. */
static enum dp_status list_folder(struct folder_walk *w, int folder, size_t base)
{
    DIR *stream = fdopendir(folder);
    if (!stream) {
        enum dp_status status = local_fail(w->local, errno, "list", span_of(w->key, base), &w->lister.call->error);
        close(folder);
        return status;
    }
    struct folder_names names = {0};
    arena_init(&names.arena, NAMES_MAX_BYTES);
    enum dp_status status = gather_names(w, stream, base, &names);
    for (size_t i = 0; i < names.count && status == DP_OK && !w->full; i++) {
        struct span name = names.list[i];
        char part[STORE_PART_MAX + 1];
        memcpy(w->key + base, name.data, name.len);
        size_t part_len = name.data[name.len - 1] == '/' ? name.len - 1 : name.len;
        memcpy(part, name.data, part_len);
        part[part_len] = '\0';
        status = call_check(w->lister.call);
        if (status == DP_OK)
            status = visit_entry(w, folder, part, base + name.len);
    }
    arena_deinit(&names.arena);
    closedir(stream);
    return status;
}

enum dp_status local_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          bool folders, size_t max, struct store_listing *out)
{
    struct folder_walk w = {.local = local_of(store)};
    store_lister_init(&w.lister, call, prefix, after, folders, max, out);
    size_t base = prefix.len;
    while (base > 0 && prefix.data[base - 1] != '/')
        base--;
    if (base > STORE_KEY_MAX || (base && store_key_check(span_of(prefix.data, base - 1), NULL) != DP_OK))
        return DP_OK; /* no key begins with this prefix */
    int folder;
    int failed = local_open_folder(w.local, span_of(prefix.data, base ? base - 1 : 0), &folder);
    if (failed == ENOENT || failed == ENOTDIR)
        return DP_OK;
    if (failed)
        return local_fail(w.local, failed, "list", prefix, &call->error);
    if (base)
        memcpy(w.key, prefix.data, base);
    return list_folder(&w, folder, base);
}
