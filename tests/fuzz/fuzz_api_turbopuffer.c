/* fuzz_api_turbopuffer.c: any bytes as the body of a query. Behind a '?', they are the query string of the list
 * of namespaces. */
#include "api_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && data[0] == '?')
        fuzz_ask(turbopuffer_namespaces, NULL, span_of(data + 1, size - 1), span_of(NULL, 0));
    else
        fuzz_ask(turbopuffer_query, "things", span_of(NULL, 0), span_of(data, size));
    return 0;
}
