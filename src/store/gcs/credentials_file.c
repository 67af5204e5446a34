/* gcs/credentials_file.c: parses files of credentials (see gcs/credentials_file.h). */
#include "store/gcs/credentials_file.h"

#include <stdio.h>

#include "base/json.h"
#include "base/utf8.h"

static const char TOKEN_URL[] = "https://oauth2.googleapis.com/token";

static void read_format(struct json_reader *r, struct arena *arena, struct google_file *out)
{
    struct span key, type;
    json_enter_object(r);
    while (json_next_key(r, arena, &key))
        if (span_equal_str(key, "type") && json_read_string(r, arena, &type))
            out->source_is_json = span_equal_str(type, "json");
        else if (span_equal_str(key, "subject_token_field_name"))
            json_read_string(r, arena, &out->source_field);
        else
            json_skip(r);
}

static void read_headers(struct json_reader *r, struct arena *arena, struct google_file *out)
{
    struct span key, value;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        if (out->source_header_count == GOOGLE_HEADERS_MAX) {
            json_reject(r, DP_INVALID, "more than %d headers", GOOGLE_HEADERS_MAX);
            return;
        }
        if (!json_read_string(r, arena, &value))
            return;
        out->source_headers[out->source_header_count].name = key;
        out->source_headers[out->source_header_count++].value = value;
    }
}

/* Reads "credential_source". Sets *other to a source that we do not have. */
static void read_source(struct json_reader *r, struct arena *arena, struct google_file *out, const char **other)
{
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        if (span_equal_str(key, "file"))
            json_read_string(r, arena, &out->source_file);
        else if (span_equal_str(key, "url"))
            json_read_string(r, arena, &out->source_url);
        else if (span_equal_str(key, "headers") && json_peek(r) == JSON_OBJECT)
            read_headers(r, arena, out);
        else if (span_equal_str(key, "format"))
            read_format(r, arena, out);
        else {
            if (span_equal_str(key, "executable") && json_peek(r) == JSON_OBJECT)
                *other = "an executable";
            if (span_equal_str(key, "environment_id"))
                *other = "AWS";
            if (span_equal_str(key, "certificate") && json_peek(r) == JSON_OBJECT)
                *other = "a certificate";
            json_skip(r);
        }
    }
}

static void read_delegates(struct json_reader *r, struct arena *arena, struct google_file *out)
{
    json_enter_array(r);
    while (json_next_item(r)) {
        if (out->delegate_count == GOOGLE_DELEGATES_MAX) {
            json_reject(r, DP_INVALID, "more than %d delegates", GOOGLE_DELEGATES_MAX);
            return;
        }
        json_read_string(r, arena, &out->delegates[out->delegate_count++]);
    }
}

static void read_impersonation(struct json_reader *r, struct arena *arena, struct google_file *out)
{
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, arena, &key))
        if (span_equal_str(key, "token_lifetime_seconds"))
            json_read_u64(r, &out->impersonation_seconds);
        else
            json_skip(r);
}

static struct span *text_field(struct google_file *out, struct span key, struct span *type)
{
    const struct {
        const char *name;
        struct span *to;
    } fields[] = {
        {"type", type},
        {"token_uri", &out->token_url},
        {"token_url", &out->token_url},
        {"client_email", &out->client_email},
        {"private_key", &out->private_key},
        {"private_key_id", &out->private_key_id},
        {"client_id", &out->client_id},
        {"client_secret", &out->client_secret},
        {"refresh_token", &out->refresh_token},
        {"audience", &out->audience},
        {"subject_token_type", &out->subject_token_type},
        {"workforce_pool_user_project", &out->workforce_pool_user_project},
        {"service_account_impersonation_url", &out->impersonation_url},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (span_equal_str(key, fields[i].name))
            return fields[i].to;
    return NULL;
}

static void read_file(struct json_reader *r, struct arena *arena, struct google_file *out, struct span *type,
                      const char **other)
{
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        struct span *to = text_field(out, key, type);
        if (to && json_peek(r) == JSON_STRING)
            json_read_string(r, arena, to);
        else if (span_equal_str(key, "credential_source") && json_peek(r) == JSON_OBJECT)
            read_source(r, arena, out, other);
        else if (span_equal_str(key, "service_account_impersonation") && json_peek(r) == JSON_OBJECT)
            read_impersonation(r, arena, out);
        else if (span_equal_str(key, "delegates") && json_peek(r) == JSON_ARRAY)
            read_delegates(r, arena, out);
        else if (span_equal_str(key, "source_credentials"))
            json_read_raw(r, &out->source_credentials);
        else
            json_skip(r);
    }
    json_end(r);
}

/* Returns the first value that this kind of file needs and does not have; NULL: none. */
static const char *missing_field(const struct google_file *f)
{
    switch (f->kind) {
    case GOOGLE_SERVICE_ACCOUNT:
        return !f->client_email.len ? "client_email" : !f->private_key.len ? "private_key" : NULL;
    case GOOGLE_AUTHORIZED_USER:
        return !f->client_id.len       ? "client_id"
               : !f->client_secret.len ? "client_secret"
               : !f->refresh_token.len ? "refresh_token"
                                       : NULL;
    case GOOGLE_EXTERNAL_ACCOUNT:
        return !f->audience.len                            ? "audience"
               : !f->subject_token_type.len                ? "subject_token_type"
               : !f->token_url.len                         ? "token_url"
               : !f->source_file.len && !f->source_url.len ? "credential_source"
               : f->source_is_json && !f->source_field.len ? "subject_token_field_name"
                                                           : NULL;
    default:
        return !f->impersonation_url.len    ? "service_account_impersonation_url"
               : !f->source_credentials.len ? "source_credentials"
                                            : NULL;
    }
}

enum dp_status google_file_parse(const char *from, struct span text, struct arena *arena, struct google_file *out,
                                 struct dp_error *error)
{
    static const char *const KINDS[] = {[GOOGLE_SERVICE_ACCOUNT] = "service_account",
                                        [GOOGLE_AUTHORIZED_USER] = "authorized_user",
                                        [GOOGLE_EXTERNAL_ACCOUNT] = "external_account",
                                        [GOOGLE_IMPERSONATED] = "impersonated_service_account"};
    enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };
    struct json_reader r;
    struct span type = {0};
    const char *other = NULL;
    *out = (struct google_file){0};
    json_reader_init(&r, text);
    read_file(&r, arena, out, &type, &other);
    if (r.status == DP_NOMEM)
        return dp_fail_nomem(error, "credentials");
    if (json_failed(&r)) /* the reader's message could quote a secret */
        return dp_fail(error, DP_INVALID, "%s is not a JSON file of credentials (byte %zu)", from, r.failed_at);
    size_t kind = 0;
    while (kind < KIND_COUNT && !span_equal_str(type, KINDS[kind]))
        kind++;
    if (!type.len)
        return dp_fail(error, DP_UNSUPPORTED,
                       "%s has no \"type\", so it holds no credentials: an OAuth client's file is not one of them",
                       from);
    if (kind == KIND_COUNT) {
        struct span shown = utf8_shown(type, 64);
        return dp_fail(error, DP_UNSUPPORTED,
                       "%s holds credentials of the type \"%.*s\", which Dipper does not read: it reads "
                       "service_account, authorized_user, external_account and impersonated_service_account",
                       from, SPAN_FMT(shown));
    }
    out->kind = (enum google_kind)kind;
    if (kind == GOOGLE_EXTERNAL_ACCOUNT && other && !out->source_file.len)
        return dp_fail(error, DP_UNSUPPORTED,
                       "%s takes its token from %s, which Dipper does not do: use a file or a URL", from, other);
    const char *missing = missing_field(out);
    if (missing)
        return dp_fail(error, DP_INVALID, "%s has no \"%s\"", from, missing);
    if (!out->token_url.len)
        out->token_url = span_str(TOKEN_URL);
    return DP_OK;
}

enum dp_status google_field_parse(const char *from, struct span text, struct span field, struct arena *arena,
                                  struct span *out, struct dp_error *error)
{
    struct json_reader r;
    struct span key;
    *out = (struct span){0};
    json_reader_init(&r, text);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key))
        if (span_equal(key, field) && json_peek(&r) == JSON_STRING)
            json_read_string(&r, arena, out);
        else
            json_skip(&r);
    json_end(&r);
    if (r.status == DP_NOMEM)
        return dp_fail_nomem(error, "a token");
    if (json_failed(&r)) /* the reader's message could quote a token */
        return dp_fail(error, DP_IO, "%s is not JSON (byte %zu)", from, r.failed_at);
    if (!out->len)
        return dp_fail(error, DP_IO, "%s has no text \"%.*s\"", from, SPAN_FMT(field));
    return DP_OK;
}
