/* azure/error.c: decides for each error of Azure's blob service whether to try again, and explains it to the user.
 *
 * The names come from "Blob Storage error codes" and "Common REST API error codes", Azure Storage REST API reference.
 * The header x-ms-error-code has the name, also in the answer to a HEAD.
 */
#include "base/url.h"
#include "base/utf8.h"
#include "os/clock.h"
#include "store/azure/answers.h"
#include "store/azure/azure.h"
#include "store/http/head.h"

enum { QUOTED_MAX = 160, SKEW_MAX_MS = 15 * 60 * 1000 }; /* Azure refuses dates that are further from its own */

static const char *const TRY_LATER[] = {"InternalError", "OperationTimedOut", "ServerBusy"};

/* Reads an error's parts; the name from the header if the body has none. */
static struct azure_error error_of(struct call *call, const struct transport_request *req)
{
    struct azure_error e;
    azure_error_parse(req->bytes.span, call->arena, &e);
    if (!e.code.len)
        e.code = utf8_shown(http_head_find(req->head, "x-ms-error-code"), QUOTED_MAX);
    return e;
}

struct span azure_error_code(struct call *call, const struct transport_request *req)
{
    return error_of(call, req).code;
}

enum http_verdict azure_inspect(struct call *call, struct transport_request *req)
{
    struct azure_request *r = req->ctx;
    if (req->code / 100 == 2)
        return HTTP_FINAL;
    if (req->code == 401 && r->azure->tokens && azure_tokens_doubted(r->azure->tokens, r->token))
        return HTTP_RETRY_ONCE;
    struct span code = azure_error_code(call, req);
    if (span_one_of(code, TRY_LATER, sizeof TRY_LATER / sizeof *TRY_LATER))
        return HTTP_RETRY;
    return HTTP_AS_USUAL;
}

/* ---- sentences -------------------------------------------------------------------------------------- */

/* Errors by name, each with its status and the sentence that follows "az://…: " in the message. */
static const struct {
    const char *code;
    enum dp_status status;
    const char *sentence;
} KNOWN[] = {
    {"BlobNotFound", DP_NOT_FOUND, "there is no such object"},
    {"ContainerDisabled", DP_DENIED, "the container is disabled (ContainerDisabled)"},
    {"ContainerBeingDeleted", DP_UNAVAILABLE, "the container is being deleted: wait, then make it anew"},
    {"AccountIsDisabled", DP_DENIED, "the storage account is disabled (AccountIsDisabled)"},
    {"AuthorizationPermissionMismatch", DP_DENIED,
     "the SAS token or the identity lacks a permission: a SAS token needs sp=rl, to write sp=rwdl; an identity "
     "needs "
     "the role Storage Blob Data Reader, to write Storage Blob Data Contributor "
     "(AuthorizationPermissionMismatch)"},
    {"AuthorizationProtocolMismatch", DP_DENIED, "the SAS token is for https only"},
    {"AuthorizationSourceIPMismatch", DP_DENIED, "the SAS token is not for this address"},
    {"AuthorizationResourceTypeMismatch", DP_DENIED,
     "the SAS token is not for this kind of resource: it needs srt=co, containers and objects"},
    {"AuthorizationServiceMismatch", DP_DENIED, "the SAS token is not for blobs: it needs ss=b"},
    {"KeyBasedAuthenticationNotPermitted", DP_DENIED,
     "the account allows no keys: use an identity instead of AZURE_STORAGE_KEY"},
    {"InsufficientAccountPermissions", DP_DENIED, "the SAS token or the identity lacks a permission"},
    {"PublicAccessNotPermitted", DP_DENIED, "the account has no public containers: unset AZURE_STORAGE_ANON"},
    {"NoAuthenticationInformation", DP_DENIED, "the container is not public: unset AZURE_STORAGE_ANON"},
    {"InvalidAuthenticationInfo", DP_DENIED, "the store refuses the token (InvalidAuthenticationInfo)"},
    {"LeaseIdMissing", DP_DENIED, "another client holds a lease on the object (LeaseIdMissing)"},
    {"BlobImmutableDueToPolicy", DP_DENIED, "a policy forbids to change the object (BlobImmutableDueToPolicy)"},
    {"BlobArchived", DP_UNSUPPORTED, "the object is in the archive tier: move it to hot or cool first"},
    {"BlobBeingRehydrated", DP_UNAVAILABLE, "the object is on its way out of the archive tier: try again later"},
    {"InvalidBlobType", DP_UNSUPPORTED, "the object is not a block blob (InvalidBlobType)"},
    {"ResourceNotFound", DP_NOT_FOUND, "there is no such object"},
    {"OutOfRangeInput", DP_INVALID, "the name is too long for this store"},
    {"InvalidResourceName", DP_INVALID, "the store takes no such name"},
    {"PathConflict", DP_INVALID, "a part of the name is an object, and this account keeps nothing below it"},
    {"ResourceTypeMismatch", DP_INVALID, "the name is a folder's, and this account keeps no object beside"},
    {"RequestBodyTooLarge", DP_TOO_LARGE, "the store takes no object of this size"},
    {"BlockCountExceedsLimit", DP_TOO_LARGE, "the store takes no object of so many blocks"},
    {"UnsupportedHeader", DP_UNSUPPORTED, "the store does not do this (UnsupportedHeader)"},
    {"FeatureVersionMismatch", DP_UNSUPPORTED, "the store does not do this (FeatureVersionMismatch)"},
};

/* Returns the name of the requested object, "az://container/key", in the call's arena. */
static const char *object_name(struct call *call, const struct azure_request *r)
{
    const char *name = r->key.len ? arena_printf(call->arena, "%s/%.*s", r->azure->root, SPAN_FMT(r->key)) : NULL;
    return name ? name : r->azure->root;
}

/* Returns whether the SAS token says (by se=…) that it has expired. */
static bool sas_has_expired(struct span sas)
{
    for (struct span rest = sas; rest.len;) {
        const uint8_t *end = memchr(rest.data, '&', rest.len);
        struct span item = span_of(rest.data, end ? (size_t)(end - rest.data) : rest.len);
        rest = end ? span_of(end + 1, rest.len - item.len - 1) : (struct span){0};
        uint8_t plain[64];
        int64_t ms;
        if (span_starts_with(item, span_str("se=")) && item.len <= sizeof plain) {
            size_t len = percent_decode_loosely(span_of(item.data + 3, item.len - 3), plain);
            return secret_time_parse(span_of(plain, len), &ms) && ms <= os_wall_ms();
        }
    }
    return false;
}

/* Fails because the store does not accept who asks. Azure has one error for a wrong clock, a wrong key and an old SAS
 * token; the answer's date and its detail tell them apart. No message quotes the detail, which repeats headers.
 * `or_else` follows the reason. */
static enum dp_status fail_unauthentic(const struct azure_request *r, const struct transport_request *req,
                                       const struct azure_error *e, const char *name, const char *or_else,
                                       struct dp_error *error)
{
    const struct azure_connection *c = &r->azure->connection;
    int64_t theirs = http_answer_date(req), ours = os_wall_ms();
    int64_t apart = theirs > ours ? theirs - ours : ours - theirs;
    if (theirs && apart > SKEW_MAX_MS)
        return dp_fail(error, DP_DENIED,
                       "%s: this machine's clock differs by %lld minutes from the store's: set it right", name,
                       (long long)(apart / 60000));
    static const char FRAME[] = "time frame";
    bool late = (e->detail.len && memmem(e->detail.data, e->detail.len, FRAME, sizeof FRAME - 1)) ||
                (c->credential == AZURE_SAS && sas_has_expired(c->sas));
    switch (c->credential) {
    case AZURE_SHARED_KEY:
        return dp_fail(error, DP_DENIED,
                       "%s: the key is not one of the storage account \"%.*s\": check AZURE_STORAGE_KEY%s", name,
                       SPAN_FMT(c->account), or_else);
    case AZURE_SAS:
        return dp_fail(error, DP_DENIED, "%s: the SAS token %s (AZURE_STORAGE_SAS_TOKEN)%s", name,
                       late ? "has expired, or is not valid yet: make a new one"
                            : "is not valid for this container: check it",
                       late ? "" : or_else);
    case AZURE_TOKEN:
        return dp_fail(error, DP_DENIED, "%s: the store refuses the token of this identity (%.*s)%s", name,
                       SPAN_FMT(e->code), or_else);
    default:
        return dp_fail(error, DP_DENIED, "%s: the store wants credentials: unset AZURE_STORAGE_ANON%s", name,
                       or_else);
    }
}

enum dp_status azure_explain(struct http_source *source, struct call *call, const struct transport_request *req,
                             struct dp_error *error)
{
    (void)source;
    const struct azure_request *r = req->ctx;
    const struct azure_store *azure = r->azure;
    const char *name = object_name(call, r);
    struct azure_error e = error_of(call, req);
    if (span_equal_str(e.code, "ContainerNotFound"))
        return dp_fail(error, DP_INVALID, "there is no container \"%.*s\" at %.*s: check its name",
                       SPAN_FMT(azure->container), SPAN_FMT(azure->connection.endpoint));
    if (span_equal_str(e.code, "AuthenticationFailed"))
        return fail_unauthentic(r, req, &e, name, "", error);
    if (span_equal_str(e.code, "AuthorizationFailure"))
        return fail_unauthentic(r, req, &e, name, "; or the account's firewall refuses this client", error);
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (span_equal_str(e.code, KNOWN[i].code))
            return dp_fail(error, KNOWN[i].status, "%s: %s", name, KNOWN[i].sentence);
    if (req->code == 404 && !e.code.len)
        return dp_fail(error, DP_NOT_FOUND, "%s: there is no such object", name);
    if (req->code / 100 == 3)
        return dp_fail(error, DP_UNSUPPORTED,
                       "%s: the store answers with a redirect (%d), which is not followed: check "
                       "AZURE_STORAGE_BLOB_ENDPOINT",
                       name, req->code);
    enum dp_status status = req->code == 401 || req->code == 403   ? DP_DENIED
                            : req->code == 405 || req->code == 501 ? DP_UNSUPPORTED
                            : req->code == 413                     ? DP_TOO_LARGE
                            : req->code == 507                     ? DP_FULL
                            : req->code >= 500 || req->code == 429 ? DP_UNAVAILABLE
                                                                   : DP_IO;
    if (e.code.len)
        return dp_fail(error, status, "%s: the store answers %d %.*s%s%.*s", name, req->code, SPAN_FMT(e.code),
                       e.message.len ? ": " : "", SPAN_FMT(utf8_shown(e.message, QUOTED_MAX)));
    return dp_fail(error, status, "%s: %.*s answers %d", name, SPAN_FMT(azure->connection.endpoint), req->code);
}
