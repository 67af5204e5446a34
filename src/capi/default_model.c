/* default_model.c: finds the model that comes with Dipper. Looks in several folders, because the library may
 * not lie where the build was configured to install it: it may be in a build folder or in a moved prefix. */
#include "capi/default_model.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "embed/embedded_model.h"

#if !defined(MODEL_FILE) || !defined(MODEL_FOLDER) || !defined(MODEL_FOLDER_FROM_LIBRARY)
#error "the build defines where the packed model is installed"
#endif

enum { PLACES = 3 };

struct model_places {
    char paths[PLACES][PATH_MAX];
    size_t count;
};

static void add_model_place(struct model_places *places, int folder_len, const char *folder, const char *below)
{
    char *path = places->paths[places->count];
    int len = snprintf(path, PATH_MAX, "%.*s/%s%s", folder_len, folder, below, MODEL_FILE);
    if (len > 0 && len < PATH_MAX)
        places->count++;
}

static void list_model_places(struct model_places *places)
{
    static const char here;
    Dl_info library;
    const char *slash = dladdr(&here, &library) && library.dli_fname ? strrchr(library.dli_fname, '/') : NULL;

    places->count = 0;
    if (slash) {
        int len = (int)(slash - library.dli_fname);
        add_model_place(places, len, library.dli_fname, "");
        add_model_place(places, len, library.dli_fname, MODEL_FOLDER_FROM_LIBRARY "/");
    }
    add_model_place(places, (int)strlen(MODEL_FOLDER), MODEL_FOLDER, "");
}

enum dp_status default_model_open(enum model_precision precision, struct model **out, struct dp_error *error)
{
    const struct span linked = embedded_model_bytes();
    struct model_places places;

    *out = NULL;
    if (linked.len > 0 && precision != MODEL_INT8)
        return dp_fail(error, DP_UNSUPPORTED,
                       "the model inside this program has int8 weights only; open its folder for fp32");
    if (linked.len > 0)
        return model_open_memory(linked, out, error);
    list_model_places(&places);
    for (size_t i = 0; i < places.count; i++)
        if (access(places.paths[i], F_OK) == 0)
            return model_open_dir(places.paths[i], precision, out, error);
    dp_fail(
        error, DP_NOT_FOUND,
        "this program carries no model, and no file %s is beside the library or in %s; `make install` of a build "
        "that has the model puts it there, or open a model by its path",
        MODEL_FILE, MODEL_FOLDER);
    return DP_NOT_FOUND;
}
