/* s3_dialect.c: the scripted server as an S3 store. See s3_dialect.h.
 *
 * A part of an upload is an object named "part:ID/NUMBER", which no listing shows. */
#include "s3_dialect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_listing.h"

enum { TEXT_MAX = 4096 };

static bool is(const struct http_request *request, const char *method)
{
    return strcmp(request->method, method) == 0;
}

static bool has(const struct http_request *request, const char *parameter)
{
    char value[TEXT_MAX];
    return http_request_parameter(request, parameter, value, sizeof value);
}

static void fail(struct http_answer *answer, int code, const char *name)
{
    answer->code = code;
    http_answer_text(answer, "<Error><Code>%s</Code><Message>scripted</Message></Error>", name);
}

static void s3_name(const struct http_request *request, char out[HTTP_NAME_MAX])
{
    http_decode(request->path, out, HTTP_NAME_MAX);
}

/* Puts an object if the request's conditions hold. Returns NULL, with the error in the answer, when they do not. */
static const struct http_object *put_if(struct http_objects *all, const struct http_request *request,
                                        const char *name, struct span body, struct http_answer *answer)
{
    char match[128];
    const struct http_object *o = http_objects_find(all, name);
    const bool unwanted = http_request_header(request, "if-none-match", match, sizeof match) && o;
    const bool wanted = http_request_header(request, "if-match", match, sizeof match);
    if (wanted && !o) {
        fail(answer, 404, "NoSuchKey");
    } else if (unwanted || (wanted && strcmp(match, o->etag) != 0)) {
        fail(answer, 412, "PreconditionFailed");
    } else {
        answer->code = 200;
        return http_objects_put(all, name, body);
    }
    return NULL;
}

/* ---- listings --------------------------------------------------------------------------------------- */

/* Writes the name as encoding-type=url has it. */
static void add_name(struct http_answer *answer, const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.~/", c))
            http_answer_text(answer, "%c", c);
        else
            http_answer_text(answer, "%%%02X", c);
    }
}

static void list(const struct http_objects *all, const struct http_request *request, const char *name,
                 struct http_answer *answer)
{
    static struct http_page p; /* the server calls a dialect under its lock */
    const struct http_object *o;
    char bucket[HTTP_NAME_MAX], value[TEXT_MAX];
    p = (struct http_page){.most = 1000};
    snprintf(bucket, sizeof bucket, "%.*s", (int)(strlen(name) - (name[strlen(name) - 1] == '/')), name);
    http_request_parameter(request, "prefix", p.prefix, sizeof p.prefix);
    http_request_parameter(request, "start-after", p.after, sizeof p.after);
    http_request_parameter(request, "continuation-token", p.token, sizeof p.token);
    p.folders = http_request_parameter(request, "delimiter", value, sizeof value);
    if (http_request_parameter(request, "max-keys", value, sizeof value))
        p.most = strtoul(value, NULL, 10);
    answer->code = 200;
    http_answer_text(answer, "<ListBucketResult><EncodingType>url</EncodingType>");
    while (http_page_next(&p, all, bucket, &o)) {
        http_answer_text(answer, o ? "<Contents><Key>" : "<CommonPrefixes><Prefix>");
        add_name(answer, p.last, strlen(p.last));
        if (o)
            http_answer_text(answer, "</Key><Size>%zu</Size></Contents>", o->len);
        else
            http_answer_text(answer, "</Prefix></CommonPrefixes>");
    }
    http_answer_text(answer, "<IsTruncated>%s</IsTruncated>", p.full ? "true" : "false");
    if (p.full) {
        http_answer_text(answer, "<NextContinuationToken>");
        add_name(answer, p.last, strlen(p.last));
        http_answer_text(answer, "</NextContinuationToken>");
    }
    http_answer_text(answer, "</ListBucketResult>");
}

/* ---- uploads ---------------------------------------------------------------------------------------- */

/* Returns the first part of an upload, or the first object behind all its parts. */
static const struct http_object *first_part(const struct http_objects *all, const char *folder)
{
    const struct http_object *o = all->first;
    while (o && strncmp(o->name, folder, strlen(folder)) != 0)
        o = o->next;
    return o;
}

static void forget_parts(struct http_objects *all, const char *folder)
{
    for (const struct http_object *o; (o = first_part(all, folder)) != NULL;)
        http_objects_remove(all, o->name);
}

static void complete(struct http_objects *all, const struct http_request *request, const char *name,
                     const char *folder, struct http_answer *answer)
{
    struct http_answer whole = {0};
    for (const struct http_object *o = first_part(all, folder); o && strncmp(o->name, folder, strlen(folder)) == 0;
         o = o->next)
        http_answer_bytes(&whole, span_of(o->body, o->len));
    const struct http_object *made = put_if(all, request, name, span_of(whole.body, whole.body_len), answer);
    if (made)
        http_answer_text(answer, "<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>",
                         made->etag);
    if (made)
        forget_parts(all, folder);
    free(whole.body);
}

/* Answers requests about an upload in parts. Returns false when the request is about something else. */
static bool answer_upload(struct http_objects *all, const struct http_request *request, const char *name,
                          struct http_answer *answer)
{
    char id[64], number[16], folder[128], part[160];
    if (is(request, "POST") && has(request, "uploads")) {
        snprintf(folder, sizeof folder, "part:%u/", all->version + 1);
        http_objects_put(all, folder, (struct span){0});
        answer->code = 200;
        http_answer_text(answer,
                         "<InitiateMultipartUploadResult><UploadId>%u</UploadId></InitiateMultipartUploadResult>",
                         all->version);
        return true;
    }
    if (!http_request_parameter(request, "uploadId", id, sizeof id))
        return false;
    snprintf(folder, sizeof folder, "part:%s/", id);
    if (!http_objects_find(all, folder)) {
        fail(answer, 404, "NoSuchUpload");
    } else if (is(request, "PUT") && http_request_parameter(request, "partNumber", number, sizeof number)) {
        snprintf(part, sizeof part, "%s%05u", folder, (unsigned)strtoul(number, NULL, 10));
        http_answer_line(answer, "ETag: %s", http_objects_put(all, part, request->body)->etag);
        answer->code = 200;
    } else if (is(request, "POST")) {
        complete(all, request, name, folder, answer);
    } else {
        forget_parts(all, folder);
        answer->code = 204;
    }
    return true;
}

/* ---- all requests ----------------------------------------------------------------------------------- */

static void answer_read(const struct http_objects *all, const struct http_request *request, const char *name,
                        struct http_answer *answer)
{
    const struct http_object *o = http_objects_find(all, name);
    if (!o)
        fail(answer, 404, "NoSuchKey");
    else
        http_answer_object(all, request, o, answer);
}

static void s3_answer(struct http_objects *all, const struct http_request *request, struct http_answer *answer)
{
    char name[HTTP_NAME_MAX];
    s3_name(request, name);
    http_answer_now(answer);
    if (answer_upload(all, request, name, answer))
        return;
    if (is(request, "GET") && has(request, "list-type")) {
        list(all, request, name, answer);
    } else if (is(request, "GET") || is(request, "HEAD")) {
        answer_read(all, request, name, answer);
    } else if (is(request, "PUT")) {
        const struct http_object *made = put_if(all, request, name, request->body, answer);
        if (made)
            http_answer_line(answer, "ETag: %s", made->etag);
    } else if (is(request, "DELETE")) {
        http_objects_remove(all, name);
        answer->code = 204;
    } else {
        fail(answer, 405, "MethodNotAllowed");
    }
}

const struct http_dialect S3_DIALECT = {.answer = s3_answer, .name = s3_name};
