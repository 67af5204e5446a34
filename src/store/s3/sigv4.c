/* sigv4.c: AWS Signature Version 4 (see sigv4.h). */
#include "store/s3/sigv4.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <time.h>

#include "base/checksum.h"
#include "base/hex.h"
#include "base/url.h"

static const char ALGORITHM[] = "AWS4-HMAC-SHA256";
static const char TERMINATOR[] = "aws4_request";

enum { DAY_LEN = 8, CANONICAL_MAX_BYTES = 1 << 20, PRESIGN_ADDED_MAX = 7 };

void sigv4_date(int64_t wall_ms, char date[SIGV4_DATE_LEN + 1])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(date, SIGV4_DATE_LEN + 1, "%Y%m%dT%H%M%SZ", &utc);
}

/* ---- escaping --------------------------------------------------------------------------------------- */

void sigv4_query(struct buffer *out, const struct sigv4_pair *query, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append_str(out, i ? "&" : "?");
        percent_append(out, query[i].name, false);
        buffer_append_str(out, "=");
        percent_append(out, query[i].value, false);
    }
}

/* Appends the path with "." and ".." resolved and slashes single (RFC 3986 §5.2.4). */
static void append_normalized(struct buffer *out, struct span path)
{
    size_t first = out->len;
    buffer_append_str(out, "/");
    for (size_t start = 0; start < path.len;) {
        const uint8_t *slash = memchr(path.data + start, '/', path.len - start);
        size_t end = slash ? (size_t)(slash - path.data) : path.len;
        struct span part = span_of(path.data + start, end - start);
        start = end + 1;
        if (span_equal_str(part, "..")) {
            /* Return to the slash before the last part. */
            size_t len = out->len > first + 1 ? out->len - 1 : out->len;
            while (len > first + 1 && out->data[len - 1] != '/')
                len--;
            out->len = len;
        } else if (part.len && !span_equal_str(part, ".")) {
            percent_append(out, part, false);
            if (slash)
                buffer_append_str(out, "/");
        }
        if (out->status != DP_OK)
            return;
    }
}

/* ---- the canonical request -------------------------------------------------------------------------- */

static int compare_pairs(const void *a, const void *b)
{
    const struct sigv4_pair *x = a, *y = b;
    int order = span_compare(x->name, y->name);
    return order ? order : span_compare(x->value, y->value);
}

/* Sorts headers by name. Headers of one name must keep their order, which qsort does not guarantee; so this is an
 * insertion sort, which is fast enough for a few headers. */
static void sort_headers(struct sigv4_pair *headers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct sigv4_pair moved = headers[i];
        size_t at = i;
        for (; at > 0 && span_compare(headers[at - 1].name, moved.name) > 0; at--)
            headers[at] = headers[at - 1];
        headers[at] = moved;
    }
}

static struct span escaped_copy(struct arena *arena, struct span text)
{
    uint8_t *bytes = text.len > SIZE_MAX / 3 ? NULL : arena_alloc(arena, 3 * text.len + 1);
    if (!bytes)
        return (struct span){0};
    struct buffer b = {.data = bytes, .cap = 3 * text.len + 1, .max = 3 * text.len + 1};
    percent_append(&b, text, false);
    return buffer_span(&b);
}

static enum dp_status append_query(const struct sigv4_request *r, struct arena *arena, struct buffer *out,
                                   struct dp_error *error)
{
    struct sigv4_pair escaped[SIGV4_PAIRS_MAX];
    for (size_t i = 0; i < r->query_count; i++) {
        escaped[i] =
            (struct sigv4_pair){escaped_copy(arena, r->query[i].name), escaped_copy(arena, r->query[i].value)};
        if (!escaped[i].name.data || !escaped[i].value.data)
            return dp_fail_nomem(error, "a request to sign");
    }
    qsort(escaped, r->query_count, sizeof *escaped, compare_pairs);
    for (size_t i = 0; i < r->query_count; i++) {
        if (i)
            buffer_append_str(out, "&");
        buffer_append(out, escaped[i].name);
        buffer_append_str(out, "=");
        buffer_append(out, escaped[i].value);
    }
    return DP_OK;
}

static bool is_header_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Appends a header's value without white space at its ends, and with one space for each run of white space
 * inside. */
static void append_trimmed(struct buffer *out, struct span value)
{
    bool gap = false, begun = false;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (is_header_space(c)) {
            gap = begun;
            continue;
        }
        if (gap)
            buffer_u8(out, ' ');
        buffer_u8(out, c);
        begun = true;
        gap = false;
    }
}

/* Fills `sorted` with the headers, their names in lower case, in the order of these names. */
static enum dp_status lower_and_sort(const struct sigv4_request *r, struct arena *arena,
                                     struct sigv4_pair sorted[SIGV4_PAIRS_MAX], struct dp_error *error)
{
    for (size_t i = 0; i < r->header_count; i++) {
        uint8_t *name = arena_alloc(arena, r->headers[i].name.len + 1);
        if (!name)
            return dp_fail_nomem(error, "a request to sign");
        for (size_t k = 0; k < r->headers[i].name.len; k++) {
            uint8_t c = r->headers[i].name.data[k];
            name[k] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
        }
        sorted[i] = (struct sigv4_pair){span_of(name, r->headers[i].name.len), r->headers[i].value};
    }
    sort_headers(sorted, r->header_count);
    return DP_OK;
}

static bool repeats_name(const struct sigv4_pair *sorted, size_t i)
{
    return i > 0 && span_equal(sorted[i].name, sorted[i - 1].name);
}

/* Appends the names of sorted headers as "a;b;c". */
static void append_names(struct buffer *out, const struct sigv4_pair *sorted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (repeats_name(sorted, i))
            continue;
        if (i)
            buffer_u8(out, ';');
        buffer_append(out, sorted[i].name);
    }
}

static void append_headers(struct buffer *out, const struct sigv4_pair *sorted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (repeats_name(sorted, i)) {
            buffer_u8(out, ',');
        } else {
            if (i)
                buffer_u8(out, '\n');
            buffer_append(out, sorted[i].name);
            buffer_u8(out, ':');
        }
        append_trimmed(out, sorted[i].value);
    }
    buffer_u8(out, '\n');
}

static enum dp_status check_counts(const struct sigv4_request *r, struct dp_error *error)
{
    if (r->query_count > SIGV4_PAIRS_MAX || r->header_count > SIGV4_PAIRS_MAX)
        return dp_fail(error, DP_INVALID, "a request to sign has more than %d headers or parameters",
                       SIGV4_PAIRS_MAX);
    return DP_OK;
}

enum dp_status sigv4_canonical_request(const struct sigv4_request *r, struct arena *arena, struct buffer *out,
                                       struct dp_error *error)
{
    struct sigv4_pair headers[SIGV4_PAIRS_MAX];
    enum dp_status status = check_counts(r, error);
    if (status == DP_OK)
        status = lower_and_sort(r, arena, headers, error);
    if (status != DP_OK)
        return status;
    buffer_append(out, r->method);
    buffer_u8(out, '\n');
    if (r->normalize_path)
        append_normalized(out, r->path);
    else
        percent_append(out, r->path, true);
    buffer_u8(out, '\n');
    status = append_query(r, arena, out, error);
    if (status != DP_OK)
        return status;
    buffer_u8(out, '\n');
    append_headers(out, headers, r->header_count);
    buffer_u8(out, '\n');
    append_names(out, headers, r->header_count);
    buffer_u8(out, '\n');
    buffer_append(out, r->payload_hash);
    return buffer_check(out, "a request to sign", error);
}

/* ---- the signature ---------------------------------------------------------------------------------- */

/* Appends a scope like "20150830/us-east-1/s3/aws4_request". */
static void append_scope(struct buffer *out, const struct sigv4_signer *s)
{
    buffer_printf(out, "%.*s/%.*s/%.*s/%s", DAY_LEN, s->date, SPAN_FMT(s->region), SPAN_FMT(s->service),
                  TERMINATOR);
}

enum dp_status sigv4_string_to_sign(const struct sigv4_signer *s, struct span canonical_request,
                                    struct buffer *out, struct dp_error *error)
{
    uint8_t digest[32];
    char hex[SIGV4_SIGNATURE_LEN + 1];
    sha256(canonical_request, digest);
    hex_encode(span_of(digest, sizeof digest), hex);
    buffer_printf(out, "%s\n%s\n", ALGORITHM, s->date);
    append_scope(out, s);
    buffer_printf(out, "\n%s", hex);
    return buffer_check(out, "a string to sign", error);
}

enum dp_status sigv4_signature(const struct sigv4_signer *s, struct span string_to_sign,
                               char out[SIGV4_SIGNATURE_LEN + 1], struct dp_error *error)
{
    /* kSigning = HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request") */
    struct buffer secret;
    uint8_t key[32], next[32];
    buffer_init(&secret, CANONICAL_MAX_BYTES);
    buffer_append_str(&secret, "AWS4");
    buffer_append(&secret, s->secret_access_key);
    enum dp_status status = buffer_check(&secret, "a signing key", error);
    if (status == DP_OK) {
        struct span k = span_of(key, sizeof key), n = span_of(next, sizeof next);
        bool ok = hmac_sha256(buffer_span(&secret), span_of(s->date, DAY_LEN), key) &&
                  hmac_sha256(k, s->region, next) && hmac_sha256(n, s->service, key) &&
                  hmac_sha256(k, span_str(TERMINATOR), next) && hmac_sha256(n, string_to_sign, key);
        if (ok)
            hex_encode(k, out);
        else
            status = dp_fail(error, DP_NOMEM, "OpenSSL could not compute a signature");
    }
    if (secret.data)
        OPENSSL_cleanse(secret.data, secret.len);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(next, sizeof next);
    buffer_deinit(&secret);
    return status;
}

/* Signs the request, and leaves the canonical request in `canonical`. */
static enum dp_status sign_request(const struct sigv4_signer *signer, const struct sigv4_request *request,
                                   struct arena *arena, struct buffer *canonical,
                                   char signature[SIGV4_SIGNATURE_LEN + 1], struct dp_error *error)
{
    struct buffer to_sign;
    buffer_init(&to_sign, CANONICAL_MAX_BYTES);
    enum dp_status status = sigv4_canonical_request(request, arena, canonical, error);
    if (status == DP_OK)
        status = sigv4_string_to_sign(signer, buffer_span(canonical), &to_sign, error);
    if (status == DP_OK)
        status = sigv4_signature(signer, buffer_span(&to_sign), signature, error);
    buffer_deinit(&to_sign);
    return status;
}

enum dp_status sigv4_authorization(const struct sigv4_signer *signer, const struct sigv4_request *request,
                                   struct arena *arena, struct buffer *out, struct dp_error *error)
{
    char signature[SIGV4_SIGNATURE_LEN + 1];
    struct sigv4_pair headers[SIGV4_PAIRS_MAX];
    struct buffer canonical;
    buffer_init(&canonical, CANONICAL_MAX_BYTES);
    enum dp_status status = sign_request(signer, request, arena, &canonical, signature, error);
    buffer_deinit(&canonical);
    if (status == DP_OK)
        status = lower_and_sort(request, arena, headers, error);
    if (status != DP_OK)
        return status;
    buffer_printf(out, "%s Credential=%.*s/", ALGORITHM, SPAN_FMT(signer->access_key_id));
    append_scope(out, signer);
    buffer_append_str(out, ", SignedHeaders=");
    append_names(out, headers, request->header_count);
    buffer_printf(out, ", Signature=%s", signature);
    return buffer_check(out, "an Authorization header", error);
}

/* Copies the scratch buffer into the arena, and clears it. */
static struct span keep_scratch(struct arena *arena, struct buffer *scratch)
{
    struct span copy = scratch->status == DP_OK ? arena_copy(arena, buffer_span(scratch)) : (struct span){0};
    buffer_clear(scratch);
    return copy;
}

/* Checks that the request has few enough pairs and the URL a valid lifetime; DP_INVALID otherwise. */
static enum dp_status check_presign(const struct sigv4_request *request, unsigned expires_seconds,
                                    struct dp_error *error)
{
    enum dp_status status = check_counts(request, error);
    if (status == DP_OK && request->query_count > SIGV4_PAIRS_MAX - PRESIGN_ADDED_MAX)
        status = dp_fail(error, DP_INVALID, "a request to sign has more than %d parameters",
                         SIGV4_PAIRS_MAX - PRESIGN_ADDED_MAX);
    if (status == DP_OK && (expires_seconds == 0 || expires_seconds > SIGV4_EXPIRES_MAX_SECONDS))
        status = dp_fail(error, DP_INVALID, "a presigned URL lasts from 1 to %d seconds, not %u",
                         SIGV4_EXPIRES_MAX_SECONDS, expires_seconds);
    return status;
}

enum dp_status sigv4_presign(const struct sigv4_signer *signer, const struct sigv4_request *request,
                             unsigned expires_seconds, struct arena *arena, struct sigv4_pair **query,
                             size_t *query_count, struct span *canonical, struct dp_error *error)
{
    struct sigv4_pair headers[SIGV4_PAIRS_MAX];
    enum dp_status status = check_presign(request, expires_seconds, error);
    if (status == DP_OK)
        status = lower_and_sort(request, arena, headers, error);
    if (status != DP_OK)
        return status;

    struct buffer scratch;
    buffer_init(&scratch, CANONICAL_MAX_BYTES);
    buffer_printf(&scratch, "%.*s/", SPAN_FMT(signer->access_key_id));
    append_scope(&scratch, signer);
    struct span credential = keep_scratch(arena, &scratch);
    append_names(&scratch, headers, request->header_count);
    struct span names = keep_scratch(arena, &scratch);
    buffer_printf(&scratch, "%u", expires_seconds);
    struct span expires = keep_scratch(arena, &scratch);
    struct span date = arena_copy(arena, span_of(signer->date, SIGV4_DATE_LEN));
    size_t count = request->query_count;
    struct sigv4_pair *all = arena_array(arena, count + PRESIGN_ADDED_MAX, sizeof *all);
    char signature[SIGV4_SIGNATURE_LEN + 1];
    if (!credential.data || !names.data || !expires.data || !date.data || !all) {
        status = dp_fail_nomem(error, "a presigned URL");
        goto out;
    }
    if (count)
        memcpy(all, request->query, count * sizeof *all);
    all[count++] = (struct sigv4_pair){span_str("X-Amz-Algorithm"), span_str(ALGORITHM)};
    all[count++] = (struct sigv4_pair){span_str("X-Amz-Credential"), credential};
    all[count++] = (struct sigv4_pair){span_str("X-Amz-Date"), date};
    all[count++] = (struct sigv4_pair){span_str("X-Amz-SignedHeaders"), names};
    all[count++] = (struct sigv4_pair){span_str("X-Amz-Expires"), expires};
    if (signer->session_token.len)
        all[count++] = (struct sigv4_pair){span_str("X-Amz-Security-Token"), signer->session_token};
    struct sigv4_request whole = *request;
    whole.query = all;
    whole.query_count = count;
    status = sign_request(signer, &whole, arena, &scratch, signature, error);
    if (status != DP_OK)
        goto out;
    struct span copy = arena_copy(arena, span_of(signature, SIGV4_SIGNATURE_LEN));
    struct span signed_request = arena_copy(arena, buffer_span(&scratch));
    if (!copy.data || !signed_request.data) {
        status = dp_fail_nomem(error, "a presigned URL");
        goto out;
    }
    all[count++] = (struct sigv4_pair){span_str("X-Amz-Signature"), copy};
    *query = all;
    *query_count = count;
    if (canonical)
        *canonical = signed_request;
out:
    buffer_deinit(&scratch);
    return status;
}
