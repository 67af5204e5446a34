/* fuzz_api_admin.c: any bytes as the body of POST /admin/models/reload. */
#include "api_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_ask(admin_reload_models, NULL, span_of(NULL, 0), span_of(data, size));
    return 0;
}
