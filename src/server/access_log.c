/* access_log.c: prints access log lines, for people or as JSON.
 *
 * Never logs the query of a URL, because prefixes and cursors may be private. Escapes text of the request, so
 * that a client cannot forge lines.
 */
#include "server/access_log.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "os/clock.h"
#include "os/log.h"

enum { LINE_MAX_BYTES = 4096, PATH_MAX_BYTES = 512 };

/* Returns the path of a target that exchange.c did not split. Drops the query, and the authority, which may
 * hold a password. */
static struct span path_of_target(struct span target)
{
    size_t len = 0;
    while (len < target.len && target.data[len] != '?' && target.data[len] != '#')
        len++;
    const uint8_t *at = target.data, *end = at + len;
    if (len == 0 || at[0] == '/')
        return span_of(at, len);
    const uint8_t *scheme = memmem(at, len, "://", 3);
    const uint8_t *begin = scheme ? memchr(scheme + 3, '/', (size_t)(end - scheme) - 3) : memrchr(at, '@', len);
    if (!begin)
        begin = scheme ? end : at;
    return span_of(begin, (size_t)(end - begin));
}

static struct span shown_path(const struct access_entry *e)
{
    struct span path = e->path.len ? e->path : path_of_target(e->target);
    return path.len > PATH_MAX_BYTES ? span_of(path.data, PATH_MAX_BYTES) : path;
}

/* Prints a client's text as a JSON string, and escapes characters that could steer a terminal. */
static void json_said(struct json_writer *w, struct span text)
{
    struct json_writer plain;
    struct buffer quoted, safe;
    if (utf8_plain_length(text.data, text.data + text.len) == text.len) {
        json_string(w, text);
        return;
    }
    buffer_init(&quoted, LINE_MAX_BYTES);
    buffer_init(&safe, LINE_MAX_BYTES);
    json_writer_init(&plain, &quoted);
    json_string(&plain, text);
    for (size_t i = 0; i < quoted.len;) {
        const uint8_t *at = quoted.data + i;
        const size_t len = utf8_length(at, quoted.data + quoted.len);
        const uint32_t hidden = utf8_hidden(at, len);
        if (hidden || *at == 0x7f)
            buffer_printf(&safe, "\\u%04x", hidden ? hidden : 0x7f);
        else
            buffer_append(&safe, span_of(at, len));
        i += len ? len : 1; /* len is never 0: the JSON writer writes UTF-8 */
    }
    json_raw(w, safe.status == DP_OK && quoted.status == DP_OK ? buffer_span(&safe) : span_str("null"));
    buffer_deinit(&quoted);
    buffer_deinit(&safe);
}

static void print_json_line(const struct access_entry *e, struct buffer *out)
{
    const struct call_cost *cost = e->cost;
    struct json_writer w;
    char utc[25];
    os_format_utc(os_wall_ms(), utc);
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_field_str(&w, "time", utc);
    json_field_str(&w, "level", "info");
    json_field_str(&w, "message", "request");
    json_field_str(&w, "id", e->id);
    if (e->trace[0])
        json_field_str(&w, "trace_id", e->trace);
    json_field_str(&w, "peer", e->peer);
    json_key(&w, "method");
    json_said(&w, span_str(e->method));
    json_key(&w, "path");
    json_said(&w, shown_path(e));
    if (e->route)
        json_field_str(&w, "route", e->route);
    json_field_u64(&w, "status", e->status);
    json_field_double(&w, "ms", (double)(int64_t)(e->seconds * 1e6) / 1000);
    json_field_u64(&w, "bytes_in", e->bytes_in);
    json_field_u64(&w, "bytes_out", e->bytes_out);
    if (e->key) {
        json_field_str(&w, "key", e->key);
        json_field_str(&w, "tier", e->tier);
    }
    if (cost->texts) {
        json_field_u64(&w, "texts", cost->texts);
        json_field_u64(&w, "cached", cost->cached_texts);
        json_field_u64(&w, "tokens", cost->text_tokens);
    }
    if (cost->rounds) {
        json_field_u64(&w, "store_rounds", cost->rounds);
        json_field_u64(&w, "store_requests", cost->requests);
        json_field_u64(&w, "store_bytes", cost->bytes);
    }
    if (e->outcome != DP_OK)
        json_field_str(&w, "error", dp_status_name(e->outcome));
    if (!e->sent)
        json_field_bool(&w, "sent", false);
    json_end_object(&w);
}

/* Prints a client's text, and escapes bytes that could steer a terminal or forge a line. */
static void print_escaped(struct buffer *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c > ' ' && c < 0x7f)
            buffer_u8(out, c);
        else
            buffer_printf(out, "\\x%02x", c);
    }
}

static void print_text_line(const struct access_entry *e, struct buffer *out)
{
    const struct call_cost *cost = e->cost;
    char utc[25];
    os_format_utc(os_wall_ms(), utc);
    buffer_printf(out, "%s %s ", utc, e->peer);
    print_escaped(out, span_str(e->method));
    buffer_append_str(out, " ");
    print_escaped(out, shown_path(e));
    buffer_printf(out, " %u %.1f ms %" PRIu64 "→%" PRIu64 " B", e->status, e->seconds * 1e3, e->bytes_in,
                  e->bytes_out);
    if (e->key)
        buffer_printf(out, " key %s (%s)", e->key, e->tier);
    if (cost->texts)
        buffer_printf(out, " %" PRIu64 " texts (%" PRIu64 " cached) %" PRIu64 " tokens", cost->texts,
                      cost->cached_texts, cost->text_tokens);
    if (cost->rounds)
        buffer_printf(out, " %" PRIu64 " rounds %" PRIu64 " requests %" PRIu64 " B read", cost->rounds,
                      cost->requests, cost->bytes);
    if (e->outcome != DP_OK)
        buffer_printf(out, " %s", dp_status_name(e->outcome));
    if (e->trace[0])
        buffer_printf(out, " trace %s", e->trace);
    buffer_printf(out, " %s%s", e->id, e->sent ? "" : " (not sent)");
}

void access_log(enum access_log_format format, const struct access_entry *entry)
{
    struct buffer line;
    if (format == ACCESS_LOG_OFF)
        return;
    buffer_init(&line, LINE_MAX_BYTES);
    if (format == ACCESS_LOG_JSON)
        print_json_line(entry, &line);
    else
        print_text_line(entry, &line);
    buffer_u8(&line, 0);
    if (line.status == DP_OK)
        log_line((const char *)line.data);
    buffer_deinit(&line);
}
