/* server_timing.c: prints the stages of a request. */
#include "server/server_timing.h"

#include <string.h>

#include "os/clock.h"

enum { TIMING_MAX = 256 };

/* Appends "name;dur=1.234" (milliseconds) unless the time is 0 or the text is full. Does not use printf,
 * because it runs for every request. */
static void add_stage(char *text, size_t *len, const char *name, uint64_t ns)
{
    enum { NUMBER_MAX = 20 + 4 };
    char number[NUMBER_MAX];
    size_t name_len = strlen(name), at = NUMBER_MAX, digits = 0;
    if (ns == 0 || *len + sizeof ", ;dur=" + name_len + NUMBER_MAX > TIMING_MAX)
        return;
    for (uint64_t us = ns / 1000; us || digits < 4; us /= 10, digits++) {
        if (digits == 3)
            number[--at] = '.';
        number[--at] = (char)('0' + us % 10);
    }
    const struct span parts[] = {span_str(*len ? ", " : ""), span_of(name, name_len), span_str(";dur="),
                                 span_of(number + at, NUMBER_MAX - at)};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        memcpy(text + *len, parts[i].data, parts[i].len);
        *len += parts[i].len;
    }
    text[*len] = '\0';
}

void server_timing_add(struct http_response *response, struct arena *arena, const struct call_cost *cost,
                       int64_t began_ns, uint64_t queued_ns)
{
    char *text = arena_alloc(arena, TIMING_MAX);
    size_t len = 0;
    if (!text)
        return;
    add_stage(text, &len, "queue", queued_ns);
    add_stage(text, &len, "tokenize", cost->tokenize_ns);
    add_stage(text, &len, "cache", cost->cache_ns);
    add_stage(text, &len, "embed", cost->embed_ns);
    add_stage(text, &len, "store", cost->store_ns);
    add_stage(text, &len, "scan", cost->scan_ns);
    add_stage(text, &len, "total", (uint64_t)(os_now_ns() - began_ns));
    http_add_header(response, "Server-Timing", text);
}
