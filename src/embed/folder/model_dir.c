/* model_dir.c: finds the folder of a model, by path or by name in an offline Hugging Face hub cache.
 *
 * In the cache, models--ORG--NAME/refs/main holds a revision, and models--ORG--NAME/snapshots/REVISION/ holds the
 * files, usually as links.
 */
#include "embed/model_dir.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/file.h"

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Returns the last part of a path, without trailing slashes. NULL: no memory. */
static const char *base_name(struct arena *arena, const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    return arena_printf(arena, "%.*s", (int)(end - begin), path + begin);
}

/* Returns the model's name for a folder "models--ORG--NAME" of the hub cache: "ORG/NAME", or "NAME" if ORG is
 * sentence-transformers. Returns NULL for any other folder. */
static const char *hub_name(struct arena *arena, const char *folder)
{
    const char *name = strncmp(folder, "models--", 8) == 0 ? folder + 8 : "", *split = strstr(name, "--");
    if (!split || split == name || split[2] == '\0')
        return NULL;
    if (strncmp(name, "sentence-transformers--", 23) == 0)
        return arena_printf(arena, "%s", split + 2);
    return arena_printf(arena, "%.*s/%s", (int)(split - name), name, split + 2);
}

/* Returns the name of a model's folder: the last part of its path, or of its real path if that part is "." or
 * "..". A snapshot's folder has the name of a revision, so this returns the hub's name of the model instead. NULL:
 * no memory. */
static const char *folder_name(struct arena *arena, const char *path)
{
    char real[PATH_MAX];
    const char *name = base_name(arena, path);
    if (!name || !realpath(path, real))
        return name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        name = base_name(arena, real);
    char *revision = strrchr(real, '/');
    if (!name || !revision || strcmp(revision + 1, name) != 0)
        return name;
    *revision = '\0';
    char *snapshots = strrchr(real, '/');
    if (!snapshots || strcmp(snapshots, "/snapshots") != 0)
        return name;
    *snapshots = '\0';
    const char *repository = strrchr(real, '/'), *known = !repository ? NULL : hub_name(arena, repository + 1);
    return known ? known : name;
}

const char *model_dir_hub(struct arena *arena)
{
    const char *cache = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME"), *user = getenv("HOME");
    if (cache && *cache != '\0')
        return cache;
    if (home && *home != '\0')
        return arena_printf(arena, "%s/hub", home);
    return arena_printf(arena, "%s/.cache/huggingface/hub", !user ? "" : user);
}

/* Returns whether `name` is "org/name" or "name" and has only characters that the hub allows, so that no name can
 * lead out of the cache. */
static bool is_model_name(const char *name)
{
    const char *slash = strchr(name, '/');
    if (*name == '\0' || *name == '.' || *name == '/' || strlen(name) > 200 || strstr(name, ".."))
        return false;
    if (slash && (slash[1] == '\0' || slash[1] == '.' || strchr(slash + 1, '/')))
        return false;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")] == '\0';
}

/* Returns the snapshot that refs/main names, else the only snapshot, else NULL. */
static const char *snapshot_of(struct arena *arena, const char *repository)
{
    const char *ref = arena_printf(arena, "%s/refs/main", repository);
    if (!ref)
        return NULL;
    struct buffer text;
    buffer_init(&text, 256);
    const char *found = NULL;
    if (os_read_file(ref, &text, NULL) == DP_OK) {
        size_t len = text.len;
        while (len > 0 && (text.data[len - 1] == '\n' || text.data[len - 1] == ' '))
            len--;
        found = arena_printf(arena, "%s/snapshots/%.*s", repository, (int)len, (const char *)text.data);
    }
    buffer_deinit(&text);
    if (found && is_folder(found))
        return found;

    const char *snapshots = arena_printf(arena, "%s/snapshots", repository);
    DIR *dir = !snapshots ? NULL : opendir(snapshots);
    if (!dir)
        return NULL;
    unsigned count = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (entry->d_name[0] != '.' && count++ == 0)
            found = arena_printf(arena, "%s/%s", snapshots, entry->d_name);
    closedir(dir);
    return count == 1 ? found : NULL;
}

enum dp_status model_dir_find(const char *path, struct arena *arena, const char **folder, const char **name,
                              struct dp_error *error)
{
    bool is_path = is_folder(path);
    *folder = arena_printf(arena, "%s", path);
    *name = is_path ? folder_name(arena, path) : base_name(arena, path);
    if (!*folder || !*name)
        return dp_fail_nomem(error, "a path");
    if (is_path)
        return DP_OK;
    if (!is_model_name(path))
        return dp_fail(error, DP_NOT_FOUND, "there is no model folder %s", path);

    const char *cache = model_dir_hub(arena);
    const char *slash = strchr(path, '/');
    const char *repository =
        slash ? arena_printf(arena, "%s/models--%.*s--%s", cache, (int)(slash - path), path, slash + 1)
              : arena_printf(arena, "%s/models--sentence-transformers--%s", cache, path);
    if (!cache || !repository)
        return dp_fail_nomem(error, "a path");
    *folder = snapshot_of(arena, repository);
    if (strncmp(path, "sentence-transformers/", 22) != 0)
        *name = arena_printf(arena, "%s", path);
    if (!*name)
        return dp_fail_nomem(error, "a path");
    if (!*folder)
        return dp_fail(error, DP_NOT_FOUND, "there is no model folder %s, nor %s in the hub cache", path,
                       repository);
    return DP_OK;
}

/* ---- listing ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sets *out to the name of a cached model that has a snapshot (is_hub), or to the path of a model's folder. NULL
 * for any other entry. */
static enum dp_status take_entry(const char *folder, const char *entry, bool is_hub, struct arena *arena,
                                 const char **out, struct dp_error *error)
{
    struct stat info;
    const char *path = arena_printf(arena, "%s/%s", folder, entry);
    const char *config = arena_printf(arena, "%s/%s/config.json", folder, entry);
    const char *name = strncmp(entry, "models--", 8) == 0 ? entry + 8 : "", *split = strstr(name, "--");
    *out = NULL;
    if (!path || !config)
        return dp_fail_nomem(error, "a list of models");
    if (!is_hub) {
        *out = entry[0] != '.' && stat(config, &info) == 0 ? path : NULL;
        return DP_OK;
    }
    if (!split || !snapshot_of(arena, path))
        return DP_OK;
    *out = arena_printf(arena, "%.*s/%s", (int)(split - name), name, split + 2);
    return !*out ? dp_fail_nomem(error, "a list of models") : DP_OK;
}

static enum dp_status list_folder(const char *folder, bool is_hub, struct arena *arena, const char ***names,
                                  size_t *count, struct dp_error *error)
{
    *names = arena_calloc(arena, MODEL_DIR_NAMES_MAX, sizeof(char *));
    *count = 0;
    if (!*names)
        return dp_fail_nomem(error, "a list of models");
    DIR *dir = opendir(folder);
    if (!dir)
        return is_hub && errno == ENOENT ? DP_OK : dp_fail_errno(error, errno, "list", folder);
    enum dp_status status = DP_OK;
    for (struct dirent *entry = readdir(dir); status == DP_OK && entry; entry = readdir(dir)) {
        const char *name;
        status = take_entry(folder, entry->d_name, is_hub, arena, &name, error);
        if (status == DP_OK && name && *count == MODEL_DIR_NAMES_MAX)
            status = dp_fail(error, DP_TOO_LARGE, "%s has more than %d models", folder, MODEL_DIR_NAMES_MAX);
        else if (name)
            (*names)[(*count)++] = name;
    }
    closedir(dir);
    qsort(*names, *count, sizeof(char *), compare_names);
    return status;
}

enum dp_status model_dir_list_hub(struct arena *arena, const char ***names, size_t *count, struct dp_error *error)
{
    const char *cache = model_dir_hub(arena);
    return !cache ? dp_fail_nomem(error, "a path") : list_folder(cache, true, arena, names, count, error);
}

enum dp_status model_dir_list(const char *folder, struct arena *arena, const char ***paths, size_t *count,
                              struct dp_error *error)
{
    return list_folder(folder, false, arena, paths, count, error);
}
