/* fuzz_redis_url.c: any bytes as a list of Redis URLs, and as a value in a Redis server. The result is an
 * error or servers, never a crash. */
#include "embed/redis_cache.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct redis_url urls[REDIS_SERVERS_MAX];
    struct dp_error error = {.status = DP_OK};
    size_t count;
    if (redis_url_parse_list(span_of(data, size), urls, &count, &error) != DP_OK) {
        if (error.message[0] == '\0')
            abort();
    } else {
        for (size_t i = 0; i < count; i++)
            if (urls[i].host[0] == '\0' || urls[i].port == 0)
                abort();
    }
    redis_cache_value_is_vector(span_of(data, size), (uint32_t)(size / sizeof(float)));
    return 0;
}
