/* http_objects.c: the objects of a scripted server, and the answers of a plain web server. See http_objects.h. */
#include "http_objects.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- objects ---------------------------------------------------------------------------------------- */

/* Returns the place in the list that points to the first object whose name is not less than `name`. */
static struct http_object **place_of(struct http_objects *all, const char *name)
{
    struct http_object **at = &all->first;
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    return at;
}

struct http_object *http_objects_find(const struct http_objects *all, const char *name)
{
    for (struct http_object *o = all->first; o; o = o->next)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

struct http_object *http_objects_put(struct http_objects *all, const char *name, struct span body)
{
    struct http_object **at = place_of(all, name), *o = *at;
    if (!o || strcmp(o->name, name) != 0) {
        o = calloc(1, sizeof *o);
        assert(o);
        o->name = strdup(name);
        assert(o->name);
        o->next = *at;
        *at = o;
    }
    uint8_t *copy = malloc(body.len ? body.len : 1);
    assert(copy);
    if (body.len)
        memcpy(copy, body.data, body.len);
    free(o->body);
    o->body = copy;
    o->len = body.len;
    o->version = ++all->version;
    snprintf(o->etag, sizeof o->etag, "\"v%u\"", o->version);
    return o;
}

void http_objects_remove(struct http_objects *all, const char *name)
{
    struct http_object **at = place_of(all, name), *o = *at;
    if (!o || strcmp(o->name, name) != 0)
        return;
    *at = o->next;
    free(o->name);
    free(o->body);
    free(o);
}

void http_objects_clear(struct http_objects *all)
{
    while (all->first)
        http_objects_remove(all, all->first->name);
}

/* ---- requests --------------------------------------------------------------------------------------- */

bool http_request_header(const struct http_request *request, const char *name, char *out, size_t room)
{
    size_t len = strlen(name);
    for (const char *line = strstr(request->head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            const char *value = line + len + 1;
            value += strspn(value, " ");
            snprintf(out, room, "%.*s", (int)strcspn(value, "\r"), value);
            return true;
        }
    }
    return false;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes `len` bytes of `from`, cut to `room`. */
static void decode(const char *from, size_t len, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < room; i++) {
        if (from[i] == '%' && i + 2 < len && digit_of(from[i + 1]) >= 0 && digit_of(from[i + 2]) >= 0) {
            out[n++] = (char)(digit_of(from[i + 1]) * 16 + digit_of(from[i + 2]));
            i += 2;
        } else {
            out[n++] = from[i];
        }
    }
    out[n] = '\0';
}

void http_decode(const char *from, char *out, size_t room)
{
    decode(from, strlen(from), out, room);
}

bool http_request_parameter(const struct http_request *request, const char *name, char *out, size_t room)
{
    size_t len = strlen(name);
    for (const char *at = request->query; *at; at += *at == '&') {
        size_t part = strcspn(at, "&");
        if (part >= len && strncmp(at, name, len) == 0 && (part == len || at[len] == '=')) {
            size_t skip = part == len ? len : len + 1;
            decode(at + skip, part - skip, out, room);
            return true;
        }
        at += part;
    }
    return false;
}

/* ---- answers ---------------------------------------------------------------------------------------- */

/* Appends bytes to *to, and a NUL behind them. */
static void append(char **to, size_t *len, const void *bytes, size_t more)
{
    char *grown = realloc(*to, *len + more + 1);
    assert(grown);
    if (more)
        memcpy(grown + *len, bytes, more);
    *to = grown;
    *len += more;
    grown[*len] = '\0';
}

static void __attribute__((format(printf, 3, 0)))
append_format(char **to, size_t *len, const char *format, va_list list)
{
    char *text = NULL;
    int n = vasprintf(&text, format, list);
    assert(n >= 0);
    append(to, len, text, (size_t)n);
    free(text);
}

void http_answer_line(struct http_answer *answer, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    append_format(&answer->lines, &answer->lines_len, format, list);
    va_end(list);
    append(&answer->lines, &answer->lines_len, "\r\n", 2);
}

void http_answer_now(struct http_answer *answer)
{
    char text[64];
    struct tm parts;
    time_t now = time(NULL);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
    http_answer_line(answer, "Date: %s", text);
}

void http_answer_text(struct http_answer *answer, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    append_format(&answer->body, &answer->body_len, format, list);
    va_end(list);
}

void http_answer_bytes(struct http_answer *answer, struct span bytes)
{
    append(&answer->body, &answer->body_len, bytes.data, bytes.len);
}

/* Finds the requested range, or the whole object when there is no range. Returns false when it cannot be
 * satisfied. */
static bool find_range(const struct http_request *request, size_t size, size_t *first, size_t *len, bool *partial)
{
    char text[64], *rest = NULL;
    *first = 0;
    *len = size;
    *partial = request->act->kind != HTTP_ACT_IGNORE_RANGE &&
               http_request_header(request, "range", text, sizeof text) && strncmp(text, "bytes=", 6) == 0;
    if (!*partial)
        return true;
    unsigned long long from = strtoull(text + 6, &rest, 10), to = ~0ull;
    if (rest[0] == '-' && rest[1])
        to = strtoull(rest + 1, NULL, 10);
    if (from >= size)
        return false;
    if (to >= size)
        to = size - 1;
    *first = (size_t)from;
    *len = (size_t)(to - from + 1);
    return true;
}

void http_answer_object(const struct http_objects *all, const struct http_request *request,
                        const struct http_object *o, struct http_answer *answer)
{
    const struct http_act *act = request->act;
    char match[128], none_match[128];
    size_t first, len;
    bool partial;
    if (!o) {
        answer->code = 404;
        http_answer_text(answer, "not here");
        return;
    }
    bool stale = http_request_header(request, "if-match", match, sizeof match) && strcmp(match, o->etag) != 0;
    bool unchanged = http_request_header(request, "if-none-match", none_match, sizeof none_match) &&
                     strcmp(none_match, o->etag) == 0;
    bool satisfiable = find_range(request, o->len, &first, &len, &partial);
    if (!stale && !unchanged && !satisfiable) {
        answer->code = 416;
        if (!all->options.terse)
            http_answer_line(answer, "Content-Range: bytes */%zu", o->len);
        return;
    }
    if (!all->options.plain && act->kind != HTTP_ACT_NO_ETAG)
        http_answer_line(answer, "ETag: %s%s", all->options.weak || act->kind == HTTP_ACT_WEAK ? "W/" : "",
                         o->etag);
    answer->code = stale ? 412 : unchanged ? 304 : partial ? 206 : 200;
    if (answer->code >= 300)
        return;
    size_t shift = act->kind == HTTP_ACT_SHIFT ? act->at : 0;
    if (!all->options.no_modified)
        http_answer_line(answer, "Last-Modified: Sun, 06 Nov 1994 08:%02u:%02u GMT", o->version / 60 % 60,
                         o->version % 60);
    if (partial)
        http_answer_line(answer, "Content-Range: bytes %zu-%zu/%zu", first + shift, first + shift + len - 1,
                         o->len + shift);
    http_answer_line(answer, "Accept-Ranges: bytes");
    http_answer_bytes(answer, span_of(o->body + first, len));
}

/* ---- the plain dialect ------------------------------------------------------------------------------ */

static void plain_name(const struct http_request *request, char out[HTTP_NAME_MAX])
{
    snprintf(out, HTTP_NAME_MAX, "%s", request->path);
}

/* Answers and carries out a PUT or DELETE. */
static void plain_write(struct http_objects *all, const struct http_request *request, struct http_answer *answer)
{
    char match[128];
    const struct http_object *o = http_objects_find(all, request->path);
    answer->code = 200;
    if (http_request_header(request, "if-none-match", match, sizeof match) && o)
        answer->code = 412;
    if (http_request_header(request, "if-match", match, sizeof match) && (!o || strcmp(match, o->etag) != 0))
        answer->code = o ? 412 : 404;
    if (answer->code == 200 && strcmp(request->method, "PUT") == 0) {
        http_answer_line(answer, "ETag: %s", http_objects_put(all, request->path, request->body)->etag);
    } else if (answer->code == 200) {
        http_objects_remove(all, request->path);
        answer->code = 204;
    }
}

static void plain_answer(struct http_objects *all, const struct http_request *request, struct http_answer *answer)
{
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0) {
        http_answer_object(all, request, http_objects_find(all, request->path), answer);
    } else if (strcmp(request->method, "PUT") == 0 || strcmp(request->method, "DELETE") == 0) {
        plain_write(all, request, answer);
    } else {
        answer->code = 405;
        http_answer_text(answer, "no such method here");
    }
}

const struct http_dialect HTTP_PLAIN = {.answer = plain_answer, .name = plain_name};
