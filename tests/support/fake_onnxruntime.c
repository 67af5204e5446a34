/* fake_onnxruntime.c: libraries with only ONNX Runtime's entry point, for tests of how it is opened.
 *
 * Built once for each FAKE_VERSION. Like that of the real library, GetApi knows no version above FAKE_API. If it
 * is asked for a higher version, it reports that on stderr.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct base {
    const void *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

const struct base *OrtGetApiBase(void);

static const void *get_api(uint32_t version)
{
    if (version > FAKE_API)
        fprintf(stderr, "fake ONNX Runtime: asked for version %u\n", version);
    return NULL;
}

static const char *get_version(void)
{
    return FAKE_VERSION;
}

__attribute__((visibility("default"))) const struct base *OrtGetApiBase(void)
{
    static const struct base base = {get_api, get_version};
    return &base;
}
