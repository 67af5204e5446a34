/* auth/secret.c: makes, shares and wipes secrets (see auth/secret.h). */
#include "store/auth/secret.h"

#include <openssl/crypto.h>
#include <time.h>

#include "base/alloc.h"

struct secret *secret_new(size_t size, int64_t expires_ms)
{
    struct secret *secret = mem_calloc(1, size);
    if (!secret)
        return NULL;
    atomic_init(&secret->references, 1);
    secret->expires_ms = expires_ms;
    secret->size = size;
    return secret;
}

struct secret *secret_retain(struct secret *secret)
{
    atomic_fetch_add_explicit(&secret->references, 1, memory_order_relaxed);
    return secret;
}

void secret_release(struct secret *secret)
{
    if (!secret || atomic_fetch_sub_explicit(&secret->references, 1, memory_order_acq_rel) != 1)
        return;
    OPENSSL_cleanse(secret, secret->size);
    mem_free(secret);
}

enum dp_status secret_check_text(const char *from, const char *what, struct span text, struct dp_error *error)
{
    if (text.len > SECRET_TEXT_MAX)
        return dp_fail(error, DP_INVALID, "the %s of %s is longer than %d bytes", what, from, SECRET_TEXT_MAX);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7f)
            return dp_fail(error, DP_INVALID, "the %s of %s has a character that a header cannot have (byte %zu)",
                           what, from, i + 1);
    return DP_OK;
}

enum dp_status bearer_token_new(const char *from, struct span text, int64_t expires_ms, struct bearer_token **out,
                                struct dp_error *error)
{
    *out = NULL;
    if (!text.len)
        return dp_fail(error, DP_INVALID, "%s has no token", from);
    enum dp_status status = secret_check_text(from, "token", text, error);
    if (status != DP_OK)
        return status;
    struct bearer_token *token = (struct bearer_token *)secret_new(sizeof *token + text.len, expires_ms);
    if (!token)
        return dp_fail_nomem(error, "a token");
    memcpy(token->bytes, text.data, text.len);
    token->text = span_of(token->bytes, text.len);
    *out = token;
    return DP_OK;
}

/* Reads what stands behind the seconds: a fraction, then Z, UTC, or an offset such as +01:00. */
static bool parse_zone(struct span text, int64_t *offset_ms)
{
    *offset_ms = 0;
    size_t at = 0;
    if (text.len && text.data[0] == '.')
        for (at = 1; at < text.len && text.data[at] >= '0' && text.data[at] <= '9';)
            at++;
    text = span_of(text.data + at, text.len - at);
    if (span_equal_str(text, "Z") || span_equal_str(text, "UTC"))
        return true;
    bool colon = text.len == 6 && text.data[3] == ':';
    if ((text.len != 5 && !colon) || (text.data[0] != '+' && text.data[0] != '-'))
        return false;
    const uint8_t digits[4] = {text.data[1], text.data[2], text.data[text.len - 2], text.data[text.len - 1]};
    for (size_t i = 0; i < sizeof digits; i++)
        if (digits[i] < '0' || digits[i] > '9')
            return false;
    int minutes = ((digits[0] - '0') * 10 + digits[1] - '0') * 60 + (digits[2] - '0') * 10 + digits[3] - '0';
    *offset_ms = (text.data[0] == '-' ? -minutes : minutes) * 60000;
    return minutes <= 24 * 60;
}

bool secret_time_parse(struct span text, int64_t *wall_ms)
{
    static const char SHAPE[] = "0000-00-00T00:00:00";
    enum { LEN = sizeof SHAPE - 1 };
    int64_t offset_ms;
    if (text.len <= LEN || !parse_zone(span_of(text.data + LEN, text.len - LEN), &offset_ms))
        return false;
    for (size_t i = 0; i < LEN; i++)
        if (SHAPE[i] == '0' ? text.data[i] < '0' || text.data[i] > '9' : text.data[i] != (uint8_t)SHAPE[i])
            return false;
    static const uint8_t AT[6] = {0, 5, 8, 11, 14, 17};
    static const int LEAST[6] = {1970, 1, 1, 0, 0, 0}, MOST[6] = {9999, 12, 31, 23, 59, 60};
    int field[6];
    for (size_t i = 0; i < 6; i++) {
        field[i] = 0;
        for (size_t k = 0; k < (i ? 2u : 4u); k++)
            field[i] = field[i] * 10 + (text.data[AT[i] + k] - '0');
        if (field[i] < LEAST[i] || field[i] > MOST[i])
            return false;
    }
    struct tm tm = {.tm_year = field[0] - 1900,
                    .tm_mon = field[1] - 1,
                    .tm_mday = field[2],
                    .tm_hour = field[3],
                    .tm_min = field[4],
                    .tm_sec = field[5]};
    *wall_ms = (int64_t)timegm(&tm) * 1000 - offset_ms;
    return true;
}
