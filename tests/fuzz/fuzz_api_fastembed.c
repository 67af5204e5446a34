/* fuzz_api_fastembed.c: any bytes as the body of POST /v1/embed. */
#include "api_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_ask(fastembed_embed, NULL, span_of(NULL, 0), span_of(data, size));
    return 0;
}
