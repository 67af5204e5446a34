/* gcs_dialect.c: the scripted server as Google Cloud Storage. See gcs_dialect.h.
 *
 * Shapes of answers: "Objects" and "Objects: list", Cloud Storage reference; "Resumable uploads"; recorded answers of the
 * real store in the tests of Google's Go client (storage.replay). The bytes that a session of an upload keeps are an
 * object named "session:ID", which no listing shows. */
#include "gcs_dialect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_listing.h"

enum { TEXT_MAX = 4096, SHORT_CHUNK = 256 << 10 };

static const char OBJECTS[] = "/storage/v1/b/", UPLOADS[] = "/upload/storage/v1/b/";

static bool is(const struct http_request *request, const char *method)
{
    return strcmp(request->method, method) == 0;
}

static void fail(struct http_answer *answer, int code, const char *reason, const char *message)
{
    answer->code = code;
    http_answer_line(answer, "Content-Type: application/json; charset=UTF-8");
    http_answer_text(answer,
                     "{\"error\":{\"errors\":[{\"domain\":\"global\",\"reason\":\"%s\",\"message\":\"%s\"}],"
                     "\"code\":%d,\"message\":\"%s\"}}",
                     reason, message, code, message);
}

static unsigned long long generation_of(const struct http_object *o)
{
    return GCS_DIALECT_ERA + (o ? o->version : 0ull);
}

/* Splits the path into "/bucket" and the object's name in it, which is empty for the bucket itself. */
static void split_path(const struct http_request *request, char bucket[HTTP_NAME_MAX], char name[HTTP_NAME_MAX])
{
    bool upload = strncmp(request->path, UPLOADS, sizeof UPLOADS - 1) == 0;
    const char *at = request->path + (upload ? sizeof UPLOADS : sizeof OBJECTS) - 2;
    size_t len = 1 + strcspn(at + 1, "/");
    snprintf(bucket, HTTP_NAME_MAX, "%.*s", (int)len, at);
    at += len;
    name[0] = '\0';
    if (upload)
        http_request_parameter(request, "name", name, HTTP_NAME_MAX);
    else if (strncmp(at, "/o/", 3) == 0)
        http_decode(at + 3, name, HTTP_NAME_MAX);
}

static void gcs_name(const struct http_request *request, char out[HTTP_NAME_MAX])
{
    char bucket[HTTP_NAME_MAX], name[HTTP_NAME_MAX];
    split_path(request, bucket, name);
    snprintf(out, HTTP_NAME_MAX, "%.*s/%.*s", HTTP_NAME_MAX / 2 - 1, bucket, HTTP_NAME_MAX / 2 - 1, name);
}

/* Whether the request has this condition, and its value. */
static bool condition(const struct http_request *request, const char *name, unsigned long long *value)
{
    char text[32];
    if (!http_request_parameter(request, name, text, sizeof text))
        return false;
    *value = strtoull(text, NULL, 10);
    return true;
}

static void answer_resource(const struct http_object *o, struct http_answer *answer)
{
    answer->code = 200;
    http_answer_line(answer, "Content-Type: application/json; charset=UTF-8");
    http_answer_text(answer, "{\"generation\":\"%llu\",\"size\":\"%zu\"}", generation_of(o), o->len);
}

/* Puts an object if the request's condition holds. */
static void put_if(struct http_objects *all, const struct http_request *request, const char *name,
                   struct span body, bool keeps, struct http_answer *answer)
{
    unsigned long long wanted;
    const struct http_object *o = http_objects_find(all, name);
    if (keeps && condition(request, "ifGenerationMatch", &wanted) && wanted != (o ? generation_of(o) : 0))
        fail(answer, 412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
    else
        answer_resource(http_objects_put(all, name, body), answer);
}

/* ---- reads ------------------------------------------------------------------------------------------ */

static void answer_media(const struct http_objects *all, const struct http_request *request, const char *name,
                         struct http_answer *answer)
{
    unsigned long long wanted;
    const struct http_object *o = http_objects_find(all, name);
    if (!o) {
        answer->code = 404;
        http_answer_line(answer, "Content-Type: text/html; charset=UTF-8");
        http_answer_text(answer, "No such object: %s", name + 1);
    } else if (condition(request, "ifGenerationMatch", &wanted) && wanted != generation_of(o)) {
        answer->code = 412;
        http_answer_text(answer, "Precondition Failed");
    } else if (condition(request, "ifGenerationNotMatch", &wanted) && wanted == generation_of(o)) {
        answer->code = 304;
    } else {
        http_answer_line(answer, "x-goog-generation: %llu", generation_of(o));
        http_answer_object(all, request, o, answer);
    }
}

/* ---- listings --------------------------------------------------------------------------------------- */

static void add_string(struct http_answer *answer, const char *text)
{
    http_answer_text(answer, "\"");
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == '"' || *c == '\\')
            http_answer_text(answer, "\\u%04x", (unsigned)(unsigned char)*c);
        else
            http_answer_text(answer, "%c", *c);
    http_answer_text(answer, "\"");
}

static void list(const struct http_objects *all, const struct http_request *request, const char *bucket,
                 struct http_answer *answer)
{
    static struct http_page p; /* the server calls a dialect under its lock */
    const struct http_object *o;
    char value[TEXT_MAX];
    struct http_answer folders = {0};
    bool any = false;
    p = (struct http_page){.most = 1000};
    http_request_parameter(request, "prefix", p.prefix, sizeof p.prefix);
    http_request_parameter(request, "startOffset", p.from, sizeof p.from);
    http_request_parameter(request, "pageToken", p.token, sizeof p.token);
    p.folders = http_request_parameter(request, "delimiter", value, sizeof value);
    if (http_request_parameter(request, "maxResults", value, sizeof value))
        p.most = strtoul(value, NULL, 10);
    answer->code = 200;
    http_answer_line(answer, "Content-Type: application/json; charset=UTF-8");
    http_answer_text(answer, "{\"items\":[");
    while (http_page_next(&p, all, bucket, &o)) {
        if (o) {
            http_answer_text(answer, "%s{\"name\":", any ? "," : "");
            add_string(answer, p.last);
            http_answer_text(answer, ",\"size\":\"%zu\"}", o->len);
            any = true;
        } else {
            http_answer_text(&folders, "%s", folders.body_len ? "," : "");
            add_string(&folders, p.last);
        }
    }
    http_answer_text(answer, "],\"prefixes\":[%s]", folders.body ? folders.body : "");
    free(folders.body);
    if (p.full) {
        http_answer_text(answer, ",\"nextPageToken\":");
        add_string(answer, p.last);
    }
    http_answer_text(answer, "}");
}

/* ---- uploads ---------------------------------------------------------------------------------------- */

static void begin_session(struct http_objects *all, const struct http_request *request, struct http_answer *answer)
{
    char session[64];
    snprintf(session, sizeof session, "session:%u", all->version + 1);
    http_objects_put(all, session, (struct span){0});
    answer->code = 200;
    /* A proxy or a private endpoint: the store believes that it has another name. */
    http_answer_line(answer, "Location: https://storage.googleapis.com%s?%s&upload_id=%s", request->path,
                     request->query, session + strlen("session:"));
}

static void answer_progress(const struct http_object *kept, struct http_answer *answer)
{
    answer->code = 308;
    if (kept->len)
        http_answer_line(answer, "Range: bytes=0-%zu", kept->len - 1);
}

/* Takes a chunk: "Content-Range: bytes FIRST-LAST/TOTAL", where the total is "*" before the last chunk. */
static void take_chunk(struct http_objects *all, const struct http_request *request, const char *name,
                       const char *session, bool cut, struct http_answer *answer)
{
    char range[96] = "";
    size_t first = 0, last = 0;
    const struct http_object *kept = http_objects_find(all, session);
    http_request_header(request, "content-range", range, sizeof range);
    const char *total = strchr(range, '/');
    char *dash = range;
    if (strncmp(range, "bytes ", 6) == 0)
        first = strtoul(range + 6, &dash, 10);
    if (*dash == '-')
        last = strtoul(dash + 1, NULL, 10);
    if (*dash != '-' || !total || last - first + 1 != request->body.len || first > kept->len ||
        (total[1] == '*' && request->body.len % SHORT_CHUNK)) {
        fail(answer, 400, "badRequest", "Invalid upload request");
        return;
    }
    size_t skip = kept->len - first < request->body.len ? kept->len - first : request->body.len;
    struct span fresh = span_of(request->body.data + skip, request->body.len - skip);
    if (cut && fresh.len > SHORT_CHUNK)
        fresh.len = SHORT_CHUNK;
    struct http_answer whole = {0};
    http_answer_bytes(&whole, span_of(kept->body, kept->len));
    http_answer_bytes(&whole, fresh);
    kept = http_objects_put(all, session, span_of(whole.body, whole.body_len));
    free(whole.body);
    if (total[1] == '*' || strtoull(total + 1, NULL, 10) != kept->len) {
        answer_progress(kept, answer);
        return;
    }
    answer_resource(http_objects_put(all, name, span_of(kept->body, kept->len)), answer);
}

static void answer_upload(struct http_objects *all, const struct http_request *request, const char *name,
                          bool keeps, bool cut, struct http_answer *answer)
{
    char type[32] = "", id[32] = "", session[64];
    http_request_parameter(request, "uploadType", type, sizeof type);
    http_request_parameter(request, "upload_id", id, sizeof id);
    snprintf(session, sizeof session, "session:%s", id);
    if (*id && !http_objects_find(all, session)) {
        fail(answer, 404, "notFound", "No such upload session");
    } else if (*id && is(request, "DELETE")) {
        http_objects_remove(all, session);
        answer->code = 499;
    } else if (*id && is(request, "PUT")) {
        take_chunk(all, request, name, session, cut, answer);
    } else if (strcmp(type, "resumable") == 0) {
        begin_session(all, request, answer);
    } else {
        put_if(all, request, name, request->body, keeps, answer);
    }
}

/* ---- all requests ----------------------------------------------------------------------------------- */

static void answer_request(struct http_objects *all, const struct http_request *request, bool keeps, bool cut,
                           struct http_answer *answer)
{
    char bucket[HTTP_NAME_MAX], name[HTTP_NAME_MAX], whole[HTTP_NAME_MAX];
    http_answer_now(answer);
    if (strncmp(request->path, OBJECTS, sizeof OBJECTS - 1) != 0 &&
        strncmp(request->path, UPLOADS, sizeof UPLOADS - 1) != 0) {
        fail(answer, 404, "notFound", "Not Found");
        return;
    }
    split_path(request, bucket, name);
    gcs_name(request, whole);
    if (request->path[1] == 'u') {
        answer_upload(all, request, whole, keeps, cut, answer);
    } else if (is(request, "GET") && !*name) {
        list(all, request, bucket, answer);
    } else if (is(request, "GET")) {
        answer_media(all, request, whole, answer);
    } else if (is(request, "DELETE") && http_objects_find(all, whole)) {
        http_objects_remove(all, whole);
        answer->code = 204;
    } else if (is(request, "DELETE")) {
        char message[HTTP_NAME_MAX + 32];
        snprintf(message, sizeof message, "No such object: %s", whole + 1);
        fail(answer, 404, "notFound", message);
    } else {
        fail(answer, 405, "methodNotAllowed", "Method Not Allowed");
    }
}

static void gcs_answer(struct http_objects *all, const struct http_request *request, struct http_answer *answer)
{
    answer_request(all, request, true, false, answer);
}

static void gcs_answer_without_conditions(struct http_objects *all, const struct http_request *request,
                                          struct http_answer *answer)
{
    answer_request(all, request, false, false, answer);
}

static void gcs_answer_with_short_chunks(struct http_objects *all, const struct http_request *request,
                                         struct http_answer *answer)
{
    answer_request(all, request, true, true, answer);
}

const struct http_dialect GCS_DIALECT = {.answer = gcs_answer, .name = gcs_name};
const struct http_dialect GCS_DIALECT_WITHOUT_CONDITIONS = {.answer = gcs_answer_without_conditions,
                                                            .name = gcs_name};
const struct http_dialect GCS_DIALECT_WITH_SHORT_CHUNKS = {.answer = gcs_answer_with_short_chunks,
                                                           .name = gcs_name};
