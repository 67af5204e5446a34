/* auth/oauth.c: token answers and their errors (see auth/oauth.h). */
#include "store/auth/oauth.h"

#include "base/json.h"
#include "base/utf8.h"

enum {
    LIFE_UNKNOWN_MS = 5 * 60 * 1000,
    SHOWN_MAX = 160 /* maximum bytes of a source's own words in messages */
};

/* The latest time of expiry that we keep, in Unix seconds: far enough for every clock, and safe to multiply. */
static const uint64_t SECONDS_MAX = UINT64_C(1) << 40;

/* Reads a number, or a string of digits; metadata services send either. Other values leave *known as it is. */
static void read_seconds(struct json_reader *r, struct arena *arena, uint64_t *out, bool *known)
{
    struct span text;
    if (json_peek(r) == JSON_NUMBER) {
        if (!json_read_raw(r, &text))
            return;
    } else if (json_peek(r) == JSON_STRING) {
        if (!json_read_string(r, arena, &text))
            return;
    } else {
        json_skip(r);
        return;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return;
        if (sum < SECONDS_MAX)
            sum = sum * 10 + (text.data[i] - '0');
    }
    *known = text.len > 0;
    *out = sum < SECONDS_MAX ? sum : SECONDS_MAX;
}

enum dp_status oauth_token_parse(const char *from, struct span body, int64_t now_ms, struct arena *arena,
                                 struct bearer_token **out, struct dp_error *error)
{
    struct json_reader r;
    struct span key, token = {0};
    uint64_t in = 0, on = 0;
    bool has_in = false, has_on = false;
    *out = NULL;
    json_reader_init(&r, body);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "access_token") && json_peek(&r) == JSON_STRING)
            json_read_string(&r, arena, &token);
        else if (span_equal_str(key, "expires_in"))
            read_seconds(&r, arena, &in, &has_in);
        else if (span_equal_str(key, "expires_on"))
            read_seconds(&r, arena, &on, &has_on);
        else
            json_skip(&r);
    }
    json_end(&r);
    if (r.status == DP_NOMEM)
        return dp_fail_nomem(error, "a token");
    if (json_failed(&r)) /* the reader's message could quote the token */
        return dp_fail(error, DP_IO, "%s does not answer with JSON (byte %zu)", from, r.failed_at);
    int64_t expires_ms = has_in   ? now_ms + (int64_t)in * 1000
                         : has_on ? (int64_t)on * 1000
                                  : now_ms + LIFE_UNKNOWN_MS;
    enum dp_status status = bearer_token_new(from, token, expires_ms, out, error);
    return status == DP_INVALID ? dp_restatus(error, DP_IO) : status;
}

/* ---- errors ----------------------------------------------------------------------------------------- */

/* Reads the fields of an error object of Google's APIs. */
static void read_error_object(struct json_reader *r, struct arena *arena, struct oauth_error *out)
{
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        struct span *to = span_equal_str(key, "status")    ? &out->code
                          : span_equal_str(key, "message") ? &out->message
                                                           : NULL;
        if (to && json_peek(r) == JSON_STRING)
            json_read_string(r, arena, to);
        else
            json_skip(r);
    }
}

bool oauth_error_parse(struct span body, struct arena *arena, struct oauth_error *out)
{
    struct json_reader r;
    struct span key;
    *out = (struct oauth_error){0};
    json_reader_init(&r, body);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        struct span *to = span_equal_str(key, "error")               ? &out->code
                          : span_equal_str(key, "error_description") ? &out->message
                                                                     : NULL;
        if (to == &out->code && json_peek(&r) == JSON_OBJECT)
            read_error_object(&r, arena, out);
        else if (to && json_peek(&r) == JSON_STRING)
            json_read_string(&r, arena, to);
        else
            json_skip(&r);
    }
    json_end(&r);
    out->code = utf8_shown(out->code, SHOWN_MAX);
    out->message = utf8_shown(out->message, SHOWN_MAX);
    return !json_failed(&r) && (out->code.len || out->message.len);
}

enum dp_status oauth_refused(const char *from, int code, struct span body, struct arena *arena,
                             struct dp_error *error)
{
    struct oauth_error e;
    enum dp_status status = code >= 500 || code == 429 ? DP_UNAVAILABLE : DP_DENIED;
    if (oauth_error_parse(body, arena, &e))
        return dp_fail(error, status, "%s gives no token: it answered %d %.*s%s%.*s", from, code, SPAN_FMT(e.code),
                       e.message.len ? ": " : "", SPAN_FMT(e.message));
    return dp_fail(error, status, "%s gives no token: it answered %d", from, code);
}
