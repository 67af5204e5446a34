/* fuzz_proxies.c: any bytes as a list of trusted proxies (the first line), and as X-Forwarded-For (each other line). */
#include <stdlib.h>
#include <string.h>

#include "os/address.h"
#include "server/proxies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head head;
    struct proxies proxies;
    struct dp_error error;
    char list[4096], client[ADDRESS_TEXT_MAX];
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    const size_t len = end ? (size_t)(end - data) : size;
    if (len >= sizeof list)
        return 0;
    memcpy(list, data, len);
    list[len] = '\0';
    if (proxies_parse(list, &proxies, &error) != DP_OK)
        proxies.count = 0;
    head.count = 0;
    while (end && head.count < HEAD_FIELDS_MAX) {
        const uint8_t *begin = end + 1;
        end = memchr(begin, '\n', (size_t)(data + size - begin));
        const size_t line = (size_t)((end ? end : data + size) - begin);
        head.fields[head.count++] = (struct head_field){span_str("X-Forwarded-For"), span_of(begin, line)};
    }
    if (proxies_client(&proxies, &head, client) && !os_is_address(client))
        abort(); /* the log may show it as it is */
    return 0;
}
