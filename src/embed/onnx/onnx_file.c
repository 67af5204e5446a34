/* onnx_file.c: chooses an ONNX file of a model folder, lists such files, and computes the digest of one. */
#include "embed/onnx/onnx_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checksum.h"
#include "os/file.h"
#include "simd/simd.h"

enum { PARTS_MAX = 1000 }; /* maximum files of one model's weights */

static const char *const folders[] = {"onnx/", ""};

/* Looks for `file` in onnx/ and in the folder itself. If it exists, sets *path and *name, and returns true. */
static bool look_for_file(const char *folder, const char *file, struct arena *arena, const char **path,
                          const char **name)
{
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct stat info;
        *path = arena_printf(arena, "%s/%s%s", folder, folders[i], file);
        if (*path && stat(*path, &info) == 0 && S_ISREG(info.st_mode)) {
            *name = *path + strlen(folder) + 1;
            return true;
        }
    }
    return false;
}

/* Returns the name under which exporters save the file for this processor. */
static const char *quantised_here(void)
{
#if defined(__aarch64__)
    return "model_qint8_arm64.onnx";
#else
    const char *isa = simd_ops()->name;
    if (strcmp(isa, "avx512vnni") == 0 || strcmp(isa, "avxvnni") == 0)
        return "model_qint8_avx512_vnni.onnx";
    return strcmp(isa, "avx2") == 0 ? "model_quint8_avx2.onnx" : "model_int8.onnx";
#endif
}

enum dp_status onnx_file_find(const char *folder, const char *choice, struct arena *arena, const char **path,
                              const char **name, struct dp_error *error)
{
    const char *const any[] = {"model.onnx", quantised_here(), "model_int8.onnx", "model_quantized.onnx",
                               "model_uint8.onnx"};
    const size_t any_count = sizeof any / sizeof *any;
    bool is_any = !choice || *choice == '\0', is_int8 = !is_any && strcmp(choice, "int8") == 0;
    if (!is_any && !is_int8)
        return look_for_file(folder, choice, arena, path, name)
                   ? DP_OK
                   : dp_fail(error, DP_NOT_FOUND, "model %s has no file %s, nor one in onnx/", folder, choice);
    for (size_t i = is_int8; i < any_count; i++)
        if (look_for_file(folder, any[i], arena, path, name))
            return DP_OK;
    return dp_fail(error, DP_NOT_FOUND,
                   "model %s has no %s: none of %s%s, model_int8.onnx, model_quantized.onnx and model_uint8.onnx, "
                   "neither in onnx/ nor beside it; --onnx-file NAME names another",
                   folder, is_int8 ? "quantised ONNX file" : "ONNX file", is_int8 ? "" : "model.onnx, ", any[1]);
}

/* ---- all files ---- */

static int compare_file_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum dp_status onnx_file_list(const char *folder, struct arena *arena, const char ***names, size_t *count,
                              struct dp_error *error)
{
    *names = arena_calloc(arena, ONNX_FILES_MAX, sizeof(char *));
    *count = 0;
    if (!*names)
        return dp_fail_nomem(error, "a list of files");
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < sizeof folders / sizeof *folders && status == DP_OK; i++) {
        const char *path = arena_printf(arena, "%s/%s", folder, folders[i]);
        if (!path)
            return dp_fail_nomem(error, "a path");
        DIR *dir = opendir(path);
        if (!dir)
            continue; /* a model need not have onnx/ */
        for (struct dirent *entry = readdir(dir); status == DP_OK && *count < ONNX_FILES_MAX && entry;
             entry = readdir(dir)) {
            size_t len = strlen(entry->d_name);
            if (len < 6 || strcmp(entry->d_name + len - 5, ".onnx") != 0)
                continue;
            (*names)[*count] = arena_printf(arena, "%s%s", folders[i], entry->d_name);
            if (!(*names)[*count])
                status = dp_fail_nomem(error, "a list of files");
            else
                ++*count;
        }
        closedir(dir);
    }
    qsort(*names, *count, sizeof(char *), compare_file_names);
    return status;
}

/* ---- the digest ---- */

/* Lists the files of `folder` whose names begin with `base`, in the order of names: the ONNX file and its external
 * weights. */
static enum dp_status list_parts(const char *folder, const char *base, struct arena *arena, const char ***parts,
                                 size_t *count, struct dp_error *error)
{
    *parts = arena_calloc(arena, PARTS_MAX, sizeof(char *));
    *count = 0;
    if (!*parts)
        return dp_fail_nomem(error, "a list of files");
    DIR *dir = opendir(folder);
    if (!dir)
        return dp_fail_errno(error, errno, "list", folder);
    enum dp_status status = DP_OK;
    for (struct dirent *entry = readdir(dir); status == DP_OK && entry; entry = readdir(dir)) {
        if (strncmp(entry->d_name, base, strlen(base)) != 0)
            continue;
        if (*count == PARTS_MAX) {
            status =
                dp_fail(error, DP_TOO_LARGE, "more than %d files in %s are named %s…", PARTS_MAX, folder, base);
            break;
        }
        const char *part = arena_printf(arena, "%s", entry->d_name);
        (*parts)[(*count)++] = part;
        if (!part)
            status = dp_fail_nomem(error, "a list of files");
    }
    closedir(dir);
    if (status == DP_OK)
        qsort(*parts, *count, sizeof(char *), compare_file_names);
    return status;
}

enum dp_status onnx_file_digest(const char *path, struct arena *arena, uint8_t digest[32], struct dp_error *error)
{
    const char *base = strrchr(path, '/');
    const char *folder = !base ? "." : arena_printf(arena, "%.*s", (int)(base - path), path);
    const char **parts = NULL;
    size_t count = 0;
    base = !base ? path : base + 1;
    if (!folder)
        return dp_fail_nomem(error, "a path");
    enum dp_status status = list_parts(*folder == '\0' ? "/" : folder, base, arena, &parts, &count, error);
    if (status != DP_OK)
        return status;
    struct sha256_state state;
    sha256_begin(&state);
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        struct os_map map = {{NULL, 0}};
        const char *part = arena_printf(arena, "%s/%s", folder, parts[i]);
        status = !part ? dp_fail_nomem(error, "a path") : os_map_file(part, &map, error);
        if (status == DP_OK) {
            uint64_t len = map.bytes.len;
            sha256_update(&state, span_of(parts[i], strlen(parts[i]) + 1));
            sha256_update(&state, span_of(&len, sizeof len));
            sha256_update(&state, map.bytes);
        }
        os_unmap(&map);
    }
    sha256_end(&state, digest);
    return status;
}
