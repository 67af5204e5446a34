/* azure_dialect.c: the scripted server as Azure's blob service. See azure_dialect.h.
 *
 * A block without a list is an object named "block:NAME?ID", which no listing shows. */
#include "azure_dialect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

static bool is(const struct http_request *request, const char *method)
{
    return strcmp(request->method, method) == 0;
}

/* Returns whether the query has comp=WHAT. */
static bool asks(const struct http_request *request, const char *what)
{
    char value[64];
    return http_request_parameter(request, "comp", value, sizeof value) && strcmp(value, what) == 0;
}

static void fail(struct http_answer *answer, int code, const char *name)
{
    answer->code = code;
    http_answer_line(answer, "x-ms-error-code: %s", name);
    http_answer_text(answer,
                     "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code>"
                     "<Message>scripted</Message></Error>",
                     name);
}

static void azure_name(const struct http_request *request, char out[HTTP_NAME_MAX])
{
    http_decode(request->path, out, HTTP_NAME_MAX);
}

/* Puts an object if the request's conditions hold; otherwise the answer is the error. */
static void put_if(struct http_objects *all, const struct http_request *request, const char *name,
                   struct span body, struct http_answer *answer)
{
    char match[128];
    const struct http_object *o = http_objects_find(all, name);
    if (http_request_header(request, "if-none-match", match, sizeof match) && o) {
        fail(answer, 409, "BlobAlreadyExists");
    } else if (http_request_header(request, "if-match", match, sizeof match) &&
               (!o || strcmp(match, o->etag) != 0)) {
        fail(answer, 412, "ConditionNotMet");
    } else {
        answer->code = 201;
        http_answer_line(answer, "ETag: %s", http_objects_put(all, name, body)->etag);
    }
}

/* ---- listings --------------------------------------------------------------------------------------- */

static void add_escaped(struct http_answer *answer, const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr("&<>\"", name[i]))
            http_answer_text(answer, "&#x%02X;", (unsigned char)name[i]);
        else
            http_answer_text(answer, "%c", name[i]);
}

/* A page of a listing that is being made. */
struct page {
    char prefix[TEXT_MAX], marker[TEXT_MAX];
    bool folders;
    size_t most, count;
    char last[TEXT_MAX]; /* the last entry */
};

/* Adds an object, or the folder that holds it. Returns false when the page is full. */
static bool add_entry(struct page *p, const struct http_object *o, const char *key, struct http_answer *answer)
{
    const char *slash = p->folders ? strchr(key + strlen(p->prefix), '/') : NULL;
    size_t len = slash ? (size_t)(slash - key) + 1 : strlen(key), marked = strlen(p->marker);
    bool in_marker = marked && p->marker[marked - 1] == '/' && p->folders && strncmp(key, p->marker, marked) == 0;
    if (strcmp(key, p->marker) <= 0 || in_marker)
        return true;
    if (slash && strlen(p->last) == len && strncmp(p->last, key, len) == 0)
        return true;
    if (p->count == p->most)
        return false;
    p->count++;
    snprintf(p->last, sizeof p->last, "%.*s", (int)len, key);
    http_answer_text(answer, slash ? "<BlobPrefix><Name>" : "<Blob><Name>");
    add_escaped(answer, key, len);
    if (slash)
        http_answer_text(answer, "</Name></BlobPrefix>");
    else
        http_answer_text(answer, "</Name><Properties><Content-Length>%zu</Content-Length></Properties></Blob>",
                         o->len);
    return true;
}

static void list(const struct http_objects *all, const struct http_request *request, const char *name,
                 struct http_answer *answer)
{
    struct page p = {.most = 5000};
    char value[TEXT_MAX];
    size_t container = strlen(name) + 1;
    bool full = false;
    http_request_parameter(request, "prefix", p.prefix, sizeof p.prefix);
    http_request_parameter(request, "marker", p.marker, sizeof p.marker);
    p.folders = http_request_parameter(request, "delimiter", value, sizeof value);
    if (http_request_parameter(request, "maxresults", value, sizeof value))
        p.most = strtoul(value, NULL, 10);
    if (p.most > 5000) {
        fail(answer, 400, "OutOfRangeQueryParameterValue");
        return;
    }
    answer->code = 200;
    http_answer_text(answer, "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>"
                             "<EnumerationResults ServiceEndpoint=\"scripted\"><Blobs>");
    for (const struct http_object *o = all->first; o && !full; o = o->next)
        if (strncmp(o->name, name, container - 1) == 0 && o->name[container - 1] == '/' &&
            strncmp(o->name + container, p.prefix, strlen(p.prefix)) == 0)
            full = !add_entry(&p, o, o->name + container, answer);
    http_answer_text(answer, "</Blobs><NextMarker>");
    if (full)
        add_escaped(answer, p.last, strlen(p.last));
    http_answer_text(answer, "</NextMarker></EnumerationResults>");
}

/* ---- uploads ---------------------------------------------------------------------------------------- */

static void commit(struct http_objects *all, const struct http_request *request, const char *name,
                   struct http_answer *answer)
{
    struct http_answer whole = {0};
    char *list = malloc(request->body.len + 1);
    bool good = list != NULL;
    if (good) {
        memcpy(list, request->body.data, request->body.len);
        list[request->body.len] = '\0';
    }
    for (const char *at = list ? strstr(list, "<Latest>") : NULL; at && good; at = strstr(at, "<Latest>")) {
        char block[HTTP_NAME_MAX + 128];
        at += strlen("<Latest>");
        snprintf(block, sizeof block, "block:%s?%.*s", name, (int)strcspn(at, "<"), at);
        struct http_object *o = http_objects_find(all, block);
        good = o != NULL;
        if (o)
            http_answer_bytes(&whole, span_of(o->body, o->len));
        http_objects_remove(all, block);
    }
    if (good)
        put_if(all, request, name, span_of(whole.body, whole.body_len), answer);
    else
        fail(answer, 400, "InvalidBlockList");
    free(whole.body);
    free(list);
}

static void put_block(struct http_objects *all, const struct http_request *request, const char *name,
                      struct http_answer *answer)
{
    char id[128], block[HTTP_NAME_MAX + 128];
    if (!http_request_parameter(request, "blockid", id, sizeof id)) {
        fail(answer, 400, "MissingRequiredQueryParameter");
        return;
    }
    snprintf(block, sizeof block, "block:%s?%s", name, id);
    http_objects_put(all, block, request->body);
    answer->code = 201;
}

/* ---- all requests ----------------------------------------------------------------------------------- */

static void answer_put(struct http_objects *all, const struct http_request *request, const char *name,
                       struct http_answer *answer)
{
    char type[32];
    if (asks(request, "block"))
        put_block(all, request, name, answer);
    else if (asks(request, "blocklist"))
        commit(all, request, name, answer);
    else if (http_request_header(request, "x-ms-blob-type", type, sizeof type) && strcmp(type, "BlockBlob") == 0)
        put_if(all, request, name, request->body, answer);
    else
        fail(answer, 400, "MissingRequiredHeader");
}

static void azure_answer(struct http_objects *all, const struct http_request *request, struct http_answer *answer)
{
    char name[HTTP_NAME_MAX], version[32];
    const struct http_object *o;
    azure_name(request, name);
    http_answer_now(answer);
    if (!http_request_header(request, "x-ms-version", version, sizeof version)) {
        fail(answer, 400, "MissingRequiredHeader");
    } else if (is(request, "GET") && asks(request, "list")) {
        list(all, request, name, answer);
    } else if (is(request, "GET") || is(request, "HEAD")) {
        o = http_objects_find(all, name);
        if (o)
            http_answer_object(all, request, o, answer);
        else
            fail(answer, 404, "BlobNotFound");
    } else if (is(request, "PUT")) {
        answer_put(all, request, name, answer);
    } else if (is(request, "DELETE")) {
        o = http_objects_find(all, name);
        if (o)
            answer->code = 202;
        else
            fail(answer, 404, "BlobNotFound");
        http_objects_remove(all, name);
    } else {
        fail(answer, 405, "UnsupportedHttpVerb");
    }
}

const struct http_dialect AZURE_DIALECT = {.answer = azure_answer, .name = azure_name};
