/* onnx_library.c: finds and opens libonnxruntime, and chooses an API version that both sides have.
 *
 * RTLD_LOCAL keeps the library's symbols apart from others. Nothing ever closes the library. Its table of
 * functions has a version and grows only at its end. We ask for the lower of the header's version and the
 * library's.
 *
 * The official builds report to their maker over the network, unless ORT_DISABLE_TELEMETRY is 1 in the environment
 * when a program opens the library. A program that embeds for others must not report by accident, and a library
 * must not change its program's environment. So this file refuses to open the library without that variable.
 * `dipper` sets it in main().
 */
#include "embed/onnx/onnx_library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

enum { PLACE_MAX = 4096, FOLDER_COUNT = 2, NAME_COUNT = 3 };

/* Folders, relative to the program's folder: the folder that scripts/fetch-onnxruntime makes in a build, and the
 * folder of an installation. */
static const char *const folders[FOLDER_COUNT] = {"onnxruntime/lib", "../lib/dipper"};
/* Names on the system's search path: the name in a -dev package, the official SONAME, Debian 13's SONAME. */
static const char *const names[NAME_COUNT] = {"libonnxruntime.so", "libonnxruntime.so.1",
                                              "libonnxruntime.so.1.21"};

static void *open_library(const char *path)
{
    return dlopen(path, RTLD_LOCAL | RTLD_LAZY | RTLD_NODELETE);
}

/* Sets `out` to the program's folder with a slash at the end, or to "" if it is unknown. */
static void program_folder(char out[PLACE_MAX])
{
    ssize_t len = readlink("/proc/self/exe", out, PLACE_MAX - 1);
    while (len > 0 && out[len - 1] != '/')
        len--;
    out[len > 0 ? len : 0] = '\0';
}

static void *open_usual(struct dp_error *error)
{
    char program[PLACE_MAX], place[PLACE_MAX + 64];
    program_folder(program);
    for (size_t i = 0; i < FOLDER_COUNT && program[0] == '/'; i++) {
        snprintf(place, sizeof place, "%s%s/libonnxruntime.so", program, folders[i]);
        if (access(place, F_OK) != 0)
            continue;
        void *handle = open_library(place);
        if (!handle) /* the file is broken: fail rather than open another one */
            dp_fail(error, DP_UNSUPPORTED, "cannot open ONNX Runtime's library: %s", dlerror());
        return handle;
    }
    for (size_t i = 0; i < NAME_COUNT; i++) {
        void *handle = open_library(names[i]);
        if (handle)
            return handle;
    }
    dp_fail(
        error, DP_NOT_FOUND,
        "ONNX Runtime's library was found neither in %s%s, nor in %s%s, nor by the system's search path "
        "(libonnxruntime.so, libonnxruntime.so.1); `scripts/setup --with-onnxruntime` brings it, or name it with "
        "--onnxruntime-library FILE",
        program, folders[0], program, folders[1]);
    return NULL;
}

/* Returns 31 for "1.31.1", and 0 for a version of another form. */
static unsigned version_minor(const char *version)
{
    char *end;
    if (strncmp(version, "1.", 2) != 0)
        return 0;
    unsigned long minor = strtoul(version + 2, &end, 10);
    return end != version + 2 && *end == '.' && minor < 10000 ? (unsigned)minor : 0;
}

/* Returns the functions of the highest API version that header and library share, or NULL. A library complains on
 * stderr about a request for a version above its own, so the requests begin with one that it has. */
static const OrtApi *negotiate_api(const OrtApiBase *base, const char *version)
{
    unsigned minor = version_minor(version);
    unsigned ask = minor != 0 && minor < ORT_API_VERSION ? minor : ORT_API_VERSION;
    for (; ask >= ONNX_API_MIN; ask--) {
        const OrtApi *api = base->GetApi(ask);
        if (api)
            return api;
    }
    return NULL;
}

enum dp_status onnx_library_open(const char *path, struct onnx_library *out, struct dp_error *error)
{
    const char *telemetry = getenv("ORT_DISABLE_TELEMETRY");
    if (!telemetry || strcmp(telemetry, "1") != 0)
        return dp_fail(error, DP_DENIED,
                       "ONNX Runtime's official builds report to their maker: set ORT_DISABLE_TELEMETRY=1 in the "
                       "program's environment before this engine is used");
    void *handle;
    if (!path || *path == '\0') {
        handle = open_usual(error);
        path = "ONNX Runtime's library";
    } else {
        handle = open_library(path);
        if (!handle)
            dp_fail(error, access(path, F_OK) == 0 ? DP_UNSUPPORTED : DP_NOT_FOUND,
                    "cannot open ONNX Runtime's library: %s", dlerror());
    }
    if (!handle)
        return error ? error->status : DP_NOT_FOUND;

    void *symbol = dlsym(handle, "OrtGetApiBase");
    if (!symbol)
        return dp_fail(error, DP_UNSUPPORTED, "%s has no OrtGetApiBase: it is not ONNX Runtime", path);
    const OrtApiBase *(*get_base)(void);
    memcpy(&get_base, &symbol, sizeof get_base); /* C cannot convert a data pointer to a function pointer */
    const OrtApiBase *base = get_base();
    snprintf(out->version, sizeof out->version, "%s", base->GetVersionString());
    out->api = negotiate_api(base, out->version);
    if (!out->api)
        return dp_fail(error, DP_UNSUPPORTED, "%s is ONNX Runtime %s; 1.%d or later is needed", path, out->version,
                       ONNX_API_MIN);
    return DP_OK;
}

static enum dp_status status_of_code(OrtErrorCode code)
{
    switch (code) {
    case ORT_NO_SUCHFILE: return DP_NOT_FOUND;
    case ORT_NOT_IMPLEMENTED: return DP_UNSUPPORTED;
    default: return DP_CORRUPT;
    }
}

void onnx_make_readable(char *text)
{
    uint8_t *at = (uint8_t *)text, *end = at + strlen(text);
    while (at < end) {
        size_t len = *at < 0x20 || *at == 0x7f ? 0 : utf8_length(at, end);
        if (len == 0)
            *at = '?';
        at += len > 0 ? len : 1;
    }
}

enum dp_status onnx_check(const OrtApi *api, OrtStatus *status, const char *doing, struct dp_error *error)
{
    if (!status)
        return DP_OK;
    /* Take the first line alone: some builds append a C++ stack. */
    char message[DP_ERROR_MESSAGE_MAX];
    const char *said = api->GetErrorMessage(status);
    snprintf(message, sizeof message, "%.*s", (int)strcspn(said, "\n"), said);
    onnx_make_readable(message);
    enum dp_status answer = dp_fail(error, status_of_code(api->GetErrorCode(status)), "%s: %s", doing, message);
    api->ReleaseStatus(status);
    return answer;
}
