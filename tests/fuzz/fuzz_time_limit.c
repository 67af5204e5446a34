/* fuzz_time_limit.c: any bytes as the header X-Request-Timeout. */
#include <stdlib.h>

#include "server/time_limit.h"

enum { SETTING_MS = 60000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int ms = SETTING_MS;
    const bool good = time_limit_read(span_of(data, size), &ms);
    if (ms < 1 || ms > SETTING_MS || (!good && ms != SETTING_MS))
        abort();
    return 0;
}
