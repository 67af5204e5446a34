/* refusal.c: reads why a server refuses a URL (see refusal.h). */
#include "store/http/refusal.h"

#include <stdio.h>

#include "base/utf8.h"
#include "base/xml.h"

enum { BODY_ARENA_BYTES = 256 << 10, CODE_SHOWN_MAX = 60, MESSAGE_SHOWN_MAX = 160 };

/* What an error says. Spans lie in the body or in the arena. */
struct url_refusal {
    struct span code, message;
    struct span detail; /* Azure's */
};

/* Reasons by name; `says` is a part of the message or the detail, NULL: any. */
static const struct {
    const char *code, *says, *why;
} REASONS[] = {
    {"AccessDenied", "has expired", "the presigned URL has expired: make a new one"},
    {"AccessDenied", "not valid yet",
     "the presigned URL is not valid yet: the clock of the machine that made it is ahead, set it right"},
    {"AccessDenied", "not yet valid",
     "the presigned URL is not valid yet: the clock of the machine that made it is ahead, set it right"},
    {"ExpiredToken", NULL, "the URL, or the session of the keys that signed it, has expired: make a new one"},
    {"RequestTimeTooSkewed", NULL, "the clock of the machine that made the URL differs too much from the store's"},
    {"InvalidObjectState", NULL, "the object is archived: restore it first"},
    {"BlobArchived", NULL, "the blob is archived: rehydrate it first"},
    {"SignatureDoesNotMatch", NULL,
     "the URL's signature does not fit: the URL was changed, or it is for another method"},
    {"InvalidAccessKeyId", NULL, "the store does not know the key that signed the URL: it may have been deleted"},
    {"InvalidToken", NULL, "the session token in the URL is not valid"},
    {"AuthenticationFailed", "specified time frame",
     "the SAS token has expired or is not valid yet: make a new one, and check the clock of the machine that "
     "makes it"},
    {"AuthenticationFailed", "Signature did not match",
     "the SAS token's signature does not fit: it was changed, or its key was replaced"},
    {"AuthorizationPermissionMismatch", NULL, "the SAS token does not permit this"},
    {"NoSuchBucket", NULL, "there is no such bucket"},
    {"ContainerNotFound", NULL, "there is no such container"},
};

static bool contains(struct span text, const char *part)
{
    return text.len && memmem(text.data, text.len, part, strlen(part));
}

/* Parses the body of an error. Returns false if it is not of this form. */
static bool parse_refusal(const struct transport_request *req, struct arena *arena, struct url_refusal *out)
{
    struct xml_reader r;
    struct span name;
    *out = (struct url_refusal){0};
    if (req->code / 100 == 2 || req->bytes.span.len == 0)
        return false;
    xml_reader_init(&r, req->bytes.span);
    if (!xml_enter(&r, &name) || !span_equal_str(name, "Error"))
        return false;
    while (xml_next_child(&r, &name)) {
        struct span *to = span_equal_str(name, "Code")      ? &out->code
                          : span_equal_str(name, "Message") ? &out->message
                          : span_equal_str(name, "AuthenticationErrorDetail") || span_equal_str(name, "Details")
                              ? &out->detail
                              : NULL;
        if (to)
            xml_read_text(&r, arena, to);
        else
            xml_skip(&r);
    }
    return !xml_failed(&r) && out->code.len;
}

bool http_refusal_known(const struct transport_request *req, const char **why)
{
    struct arena arena;
    struct url_refusal f;
    *why = NULL;
    arena_init(&arena, BODY_ARENA_BYTES);
    if (parse_refusal(req, &arena, &f))
        for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS && !*why; i++)
            if (span_equal_str(f.code, REASONS[i].code) &&
                (!REASONS[i].says || contains(f.message, REASONS[i].says) || contains(f.detail, REASONS[i].says)))
                *why = REASONS[i].why;
    arena_deinit(&arena);
    return *why;
}

void http_refusal_shown(const struct transport_request *req, char out[HTTP_REFUSAL_SHOWN_MAX])
{
    struct arena arena;
    struct url_refusal f;
    out[0] = '\0';
    arena_init(&arena, BODY_ARENA_BYTES);
    if (parse_refusal(req, &arena, &f)) {
        struct span code = utf8_shown(f.code, CODE_SHOWN_MAX), message = utf8_shown(f.message, MESSAGE_SHOWN_MAX);
        snprintf(out, HTTP_REFUSAL_SHOWN_MAX, " %.*s%s%.*s", SPAN_FMT(code), message.len ? ": " : "",
                 SPAN_FMT(message));
    }
    arena_deinit(&arena);
}
