/* fuzz_api_openai.c: any bytes as the body of POST /v1/embeddings. */
#include "api_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_ask(openai_embeddings, NULL, span_of(NULL, 0), span_of(data, size));
    return 0;
}
