/* s3/keys.c: makes keys, and parses the answers of AWS services that hold keys or errors (see s3/keys.h). */
#include "store/s3/keys.h"

#include "base/json.h"
#include "base/utf8.h"
#include "base/xml.h"
#include "os/clock.h"

enum {
    SHOWN_MAX = 160, /* maximum bytes of a peer's own words in messages */
    EXPIRATION_SHOWN_MAX = 64
};
static const int64_t MOST_MS = 253402300800000; /* the year 10000 */

static struct span append_key_text(struct aws_keys *keys, struct span text)
{
    uint8_t *at = keys->text + keys->text_len;
    if (text.len)
        memcpy(at, text.data, text.len);
    keys->text_len += text.len;
    return span_of(at, text.len);
}

enum dp_status aws_keys_new(const char *from, struct span access_key_id, struct span secret_access_key,
                            struct span session_token, int64_t expires_ms, struct aws_keys **out,
                            struct dp_error *error)
{
    *out = NULL;
    enum dp_status status = secret_check_text(from, "access key id", access_key_id, error);
    if (status == DP_OK)
        status = secret_check_text(from, "secret access key", secret_access_key, error);
    if (status == DP_OK)
        status = secret_check_text(from, "session token", session_token, error);
    if (status != DP_OK)
        return status;
    if (!access_key_id.len || !secret_access_key.len)
        return dp_fail(error, DP_INVALID, "%s has no %s", from,
                       access_key_id.len ? "secret access key" : "access key id");
    struct aws_keys *keys = (struct aws_keys *)secret_new(
        sizeof *keys + access_key_id.len + secret_access_key.len + session_token.len, expires_ms);
    if (!keys)
        return dp_fail_nomem(error, "keys");
    keys->access_key_id = append_key_text(keys, access_key_id);
    keys->secret_access_key = append_key_text(keys, secret_access_key);
    keys->session_token = append_key_text(keys, session_token);
    *out = keys;
    return DP_OK;
}

struct aws_keys *aws_keys_retain(struct aws_keys *keys)
{
    return (struct aws_keys *)secret_retain(&keys->base);
}

void aws_keys_release(struct aws_keys *keys)
{
    if (keys)
        secret_release(&keys->base);
}

/* ---- answers ---------------------------------------------------------------------------------------- */

/* The texts of the keys in an answer. */
struct key_texts {
    struct span id, secret, token, expiration;
};

static enum dp_status keys_of_answer(const char *from, const struct key_texts *t, struct aws_keys **out,
                                     struct dp_error *error)
{
    int64_t expires_ms = INT64_MAX;
    if (t->expiration.len && !secret_time_parse(t->expiration, &expires_ms))
        return dp_fail(error, DP_IO, "%s sent a malformed expiration: \"%.*s\"", from,
                       SPAN_FMT(utf8_shown(t->expiration, EXPIRATION_SHOWN_MAX)));
    enum dp_status status = aws_keys_new(from, t->id, t->secret, t->token, expires_ms, out, error);
    if (status == DP_INVALID)
        status = dp_restatus(error, DP_IO);
    return status;
}

/* A member of an object that is a text, or a number if `number`. */
struct json_member {
    const char *name;
    struct span *to;
    bool number;
};

/* Reads the members of an object; a number stays as it is written. Skips members of other names and types. */
static void read_members(struct json_reader *r, struct arena *arena, const struct json_member *members,
                         size_t count)
{
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        const struct json_member *m = NULL;
        for (size_t i = 0; i < count && !m; i++)
            if (span_equal_str(key, members[i].name))
                m = &members[i];
        if (m && !m->number && json_peek(r) == JSON_STRING)
            json_read_string(r, arena, m->to);
        else if (m && m->number && json_peek(r) == JSON_NUMBER)
            json_read_raw(r, m->to);
        else
            json_skip(r);
    }
}

/* Ends the text. Fails if it was no JSON; the reader's own message could quote a key. */
static enum dp_status end_json(struct json_reader *r, const char *from, struct dp_error *error)
{
    json_end(r);
    if (r->status == DP_NOMEM)
        return dp_fail_nomem(error, "keys");
    return json_failed(r) ? dp_fail(error, DP_IO, "%s does not answer with JSON (byte %zu)", from, r->failed_at)
                          : DP_OK;
}

enum dp_status aws_keys_from_json(const char *from, struct span body, struct arena *arena, struct aws_keys **out,
                                  struct dp_error *error)
{
    struct json_reader r;
    struct key_texts t = {0};
    struct span code = {0}, message = {0};
    const struct json_member members[] = {{"AccessKeyId", &t.id, false}, {"SecretAccessKey", &t.secret, false},
                                          {"Token", &t.token, false},    {"Expiration", &t.expiration, false},
                                          {"Code", &code, false},        {"Message", &message, false}};
    *out = NULL;
    json_reader_init(&r, body);
    read_members(&r, arena, members, sizeof members / sizeof *members);
    enum dp_status status = end_json(&r, from, error);
    if (status != DP_OK)
        return status;
    if (code.len && !span_equal_str(code, "Success"))
        return dp_fail(error, DP_UNAVAILABLE, "%s gives no keys: %.*s: %.*s", from,
                       SPAN_FMT(utf8_shown(code, SHOWN_MAX)), SPAN_FMT(utf8_shown(message, SHOWN_MAX)));
    return keys_of_answer(from, &t, out, error);
}

enum dp_status aws_keys_from_process(const char *from, struct span output, struct arena *arena,
                                     struct aws_keys **out, struct dp_error *error)
{
    struct json_reader r;
    struct key_texts t = {0};
    struct span version = {0};
    const struct json_member members[] = {{"AccessKeyId", &t.id, false},
                                          {"SecretAccessKey", &t.secret, false},
                                          {"SessionToken", &t.token, false},
                                          {"Expiration", &t.expiration, false},
                                          {"Version", &version, true}};
    *out = NULL;
    json_reader_init(&r, output);
    read_members(&r, arena, members, sizeof members / sizeof *members);
    enum dp_status status = end_json(&r, from, error);
    if (status == DP_OK && !span_equal_str(version, "1"))
        status = dp_fail(error, DP_UNSUPPORTED, "%s prints keys of version %.*s; expected \"Version\": 1", from,
                         SPAN_FMT(version.len ? utf8_shown(version, SHOWN_MAX) : span_str("unknown")));
    return status == DP_OK ? keys_of_answer(from, &t, out, error) : status;
}

enum dp_status aws_keys_from_sso(const char *from, struct span body, struct arena *arena, struct aws_keys **out,
                                 struct dp_error *error)
{
    struct json_reader r;
    struct key_texts t = {0};
    struct span key, expiration = {0};
    const struct json_member members[] = {{"accessKeyId", &t.id, false},
                                          {"secretAccessKey", &t.secret, false},
                                          {"sessionToken", &t.token, false},
                                          {"expiration", &expiration, true}};
    *out = NULL;
    json_reader_init(&r, body);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "roleCredentials"))
            read_members(&r, arena, members, sizeof members / sizeof *members);
        else
            json_skip(&r);
    }
    enum dp_status status = end_json(&r, from, error);
    if (status != DP_OK)
        return status;
    char time[25];
    struct json_reader number;
    int64_t expires_ms = 0; /* Unix milliseconds */
    json_reader_init(&number, expiration);
    if (expiration.len && json_read_i64(&number, &expires_ms) && expires_ms > 0 && expires_ms < MOST_MS) {
        os_format_utc(expires_ms, time);
        t.expiration = span_str(time);
    } else {
        t.expiration = span_str("none");
    }
    return keys_of_answer(from, &t, out, error);
}

static void read_sts_credentials(struct xml_reader *r, struct arena *arena, struct key_texts *a)
{
    struct span name;
    while (xml_next_child(r, &name)) {
        struct span *to = span_equal_str(name, "AccessKeyId")       ? &a->id
                          : span_equal_str(name, "SecretAccessKey") ? &a->secret
                          : span_equal_str(name, "SessionToken")    ? &a->token
                          : span_equal_str(name, "Expiration")      ? &a->expiration
                                                                    : NULL;
        if (to)
            xml_read_text(r, arena, to);
        else
            xml_skip(r);
    }
}

static void read_sts_result(struct xml_reader *r, struct arena *arena, struct key_texts *a)
{
    struct span name;
    while (xml_next_child(r, &name)) {
        if (span_equal_str(name, "Credentials"))
            read_sts_credentials(r, arena, a);
        else
            xml_skip(r);
    }
}

enum dp_status aws_keys_from_sts(const char *from, struct span body, struct arena *arena, struct aws_keys **out,
                                 struct dp_error *error)
{
    struct xml_reader r;
    struct span name;
    struct key_texts a = {0};
    *out = NULL;
    xml_reader_init(&r, body);
    xml_enter(&r, &name);
    while (xml_next_child(&r, &name)) {
        if (span_equal_str(name, "AssumeRoleResult") || span_equal_str(name, "AssumeRoleWithWebIdentityResult"))
            read_sts_result(&r, arena, &a);
        else
            xml_skip(&r);
    }
    if (r.status == DP_NOMEM)
        return dp_fail_nomem(error, "keys");
    if (xml_failed(&r))
        return dp_fail(error, DP_IO, "%s does not answer with XML (%s at byte %zu)", from, r.why, r.failed_at);
    return keys_of_answer(from, &a, out, error);
}

static void read_error(struct xml_reader *r, struct arena *arena, struct aws_error *out)
{
    struct span name;
    while (xml_next_child(r, &name)) {
        struct span *to = span_equal_str(name, "Code")         ? &out->code
                          : span_equal_str(name, "Message")    ? &out->message
                          : span_equal_str(name, "Region")     ? &out->region
                          : span_equal_str(name, "BucketName") ? &out->bucket
                                                               : NULL;
        if (to && xml_read_text(r, arena, to))
            *to = utf8_shown(*to, SIZE_MAX);
        else if (!to && span_equal_str(name, "ActualObjectSize"))
            out->size_known = xml_read_u64(r, arena, &out->size);
        else if (!to)
            xml_skip(r);
    }
}

bool aws_error_parse(struct span body, struct arena *arena, struct aws_error *out)
{
    struct xml_reader r;
    struct span name;
    *out = (struct aws_error){0};
    xml_reader_init(&r, body);
    if (!xml_enter(&r, &name))
        return false;
    if (span_equal_str(name, "Error")) {
        read_error(&r, arena, out);
    } else if (span_equal_str(name, "ErrorResponse")) {
        while (xml_next_child(&r, &name)) {
            if (span_equal_str(name, "Error"))
                read_error(&r, arena, out);
            else
                xml_skip(&r);
        }
    } else {
        return false;
    }
    return !xml_failed(&r) && out->code.len;
}
