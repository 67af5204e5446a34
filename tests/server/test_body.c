/* test_body.c: the bytes of request bodies: decompressed in pieces, within their limits, in a file when there are
 * many. */
#include "test_support.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "server/body.h"

enum { MEGABYTE = 1 << 20 };

static struct byte_quota memory, disk;
static struct arena arena;
static struct call call;
static _Atomic bool left;

static int set_up(void **state)
{
    (void)state;
    memory = disk = (struct byte_quota){.max = 64 * MEGABYTE};
    atomic_store(&left, false);
    arena_init(&arena, MEGABYTE);
    call_init(&call, &arena);
    call.cancelled = &left;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    assert_int_equal(atomic_load(&memory.held), 0);
    assert_int_equal(atomic_load(&disk.held), 0);
    return 0;
}

static size_t open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* Fills bytes that compress by about a half. */
static void fill(uint8_t *bytes, size_t len)
{
    uint32_t x = 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (uint8_t) "0123456789abcdef"[x >> 28];
    }
}

/* Compresses `plain`; the caller frees the result. */
static struct span pack(enum body_encoding encoding, struct span plain)
{
    const size_t room = plain.len + plain.len / 100 + 1000;
    uint8_t *bytes = malloc(room);
    assert_non_null(bytes);
    if (encoding == ENCODING_IDENTITY) {
        memcpy(bytes, plain.data, plain.len);
        return span_of(bytes, plain.len);
    }
    if (encoding == ENCODING_ZSTD)
        return span_of(bytes, ZSTD_compress(bytes, room, plain.data, plain.len, 1));
    z_stream z = {.zalloc = NULL};
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)plain.data;
    z.avail_in = (unsigned)plain.len;
    z.next_out = bytes;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t len = room - z.avail_out;
    deflateEnd(&z);
    return span_of(bytes, len);
}

/* Sends a body as the transport does, in pieces, and returns how it ends. */
static enum dp_status send_body(struct request_body *b, enum body_encoding encoding, size_t max, bool large,
                                struct span bytes, size_t piece, struct span *out)
{
    enum dp_status status = DP_OK;
    request_body_begin(b, encoding, max, large);
    for (size_t at = 0; status == DP_OK && at < bytes.len; at += piece) {
        const size_t len = bytes.len - at < piece ? bytes.len - at : piece;
        status = request_body_keep(b, span_of(bytes.data + at, len), &call.error);
        if (status == DP_OK && request_body_is_full(b))
            status = request_body_store(&call, b);
    }
    return status == DP_OK ? request_body_finish(&call, b, out) : status;
}

static const enum body_encoding ENCODINGS[] = {ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_ZSTD};

static void test_body_gives_back_what_was_sent(void **state)
{
    (void)state;
    static uint8_t plain[11 * MEGABYTE];
    static const size_t sizes[] = {
        0, 1, BODY_RECEIVED_MAX, BODY_RECEIVED_MAX + 1, BODY_MEMORY_MAX, BODY_MEMORY_MAX + 1, sizeof plain};
    const size_t files = open_files();
    const size_t memory_most = BODY_MEMORY_MAX + 2 * BODY_RECEIVED_MAX + (9 << 20); /* 9 MiB: a window */
    struct request_body b;
    request_body_init(&b, &memory, &disk);
    fill(plain, sizeof plain);
    for (size_t e = 0; e < 3; e++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const struct span whole = span_of(plain, sizes[i]);
            struct span bytes = pack(ENCODINGS[e], whole), out;
            for (int large = 0; large < 2; large++) {
                assert_int_equal(send_body(&b, ENCODINGS[e], sizes[i] + 1000, large, bytes, 30000, &out), DP_OK);
                assert_true(span_equal(out, whole));
                const bool in_file = large && sizes[i] > BODY_MEMORY_MAX;
                assert_int_equal(open_files(), files + in_file);
                assert_int_equal(atomic_load(&disk.held), in_file ? sizes[i] : 0);
                assert_true(!large || atomic_load(&memory.held) <= memory_most);
                request_body_clear(&b, 64 << 10);
            }
            free((void *)(uintptr_t)bytes.data);
        }
    }
    assert_int_equal(open_files(), files);
    request_body_deinit(&b);
}

static void test_body_ends_at_its_limit(void **state)
{
    (void)state;
    static uint8_t plain[9 * MEGABYTE + 1];
    static const size_t limits[] = {70000, DECODE_STEP, BODY_MEMORY_MAX, 9 * MEGABYTE};
    struct request_body b;
    struct span out;
    request_body_init(&b, &memory, &disk);
    fill(plain, sizeof plain);
    for (size_t i = 0; i < sizeof limits / sizeof *limits * 4; i++) {
        const enum body_encoding encoding = i & 1 ? ENCODING_GZIP : ENCODING_ZSTD;
        const size_t limit = limits[i / 4];
        const bool large = i & 2;
        for (size_t beyond = 0; beyond < 2; beyond++) {
            struct span bytes = pack(encoding, span_of(plain, limit + beyond));
            assert_int_equal(send_body(&b, encoding, limit, large, bytes, 4096, &out),
                             beyond ? DP_TOO_LARGE : DP_OK);
            assert_true(beyond || out.len == limit);
            assert_true(b.stored.len <= limit);
            request_body_clear(&b, 0);
            free((void *)(uintptr_t)bytes.data);
        }
    }
    request_body_deinit(&b);
}

/* A small body that becomes a very large one takes no more memory and disk than the limit. */
static void test_body_stops_a_bomb(void **state)
{
    (void)state;
    static uint8_t blanks[24 * MEGABYTE];
    struct request_body b;
    struct span out;
    memset(blanks, ' ', sizeof blanks);
    request_body_init(&b, &memory, &disk);
    for (size_t e = 1; e < 3; e++) {
        struct span bytes = pack(ENCODINGS[e], span_of(blanks, sizeof blanks));
        assert_true(bytes.len < MEGABYTE);
        assert_int_equal(send_body(&b, ENCODINGS[e], 10 * MEGABYTE, true, bytes, 4096, &out), DP_TOO_LARGE);
        assert_non_null(strstr(call.error.message, "more than 10485760 bytes"));
        assert_true(b.stored.len <= 10 * MEGABYTE);
        assert_true(atomic_load(&disk.held) <= 10 * MEGABYTE);
        request_body_clear(&b, 0);
        free((void *)(uintptr_t)bytes.data);
    }
    request_body_deinit(&b);
}

static void test_body_refuses_what_is_not_of_its_encoding(void **state)
{
    (void)state;
    static uint8_t plain[100000];
    struct request_body b;
    struct span out;
    request_body_init(&b, &memory, &disk);
    fill(plain, sizeof plain);
    for (size_t e = 1; e < 3; e++) {
        struct span bytes = pack(ENCODINGS[e], span_of(plain, sizeof plain));
        uint8_t *copy = malloc(bytes.len + 1);
        memcpy(copy, bytes.data, bytes.len);
        copy[bytes.len] = 'x';
        const struct span cases[] = {
            span_of(copy, bytes.len - 1), span_of(copy, bytes.len / 2), span_of(copy, 3),
            span_of(copy, bytes.len + 1), span_of(plain, 1000),         span_of(copy + 1, bytes.len - 1)};
        for (int large = 0; large < 2; large++)
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                for (size_t piece = 1; piece < 200000; piece *= 7) {
                    assert_int_equal(send_body(&b, ENCODINGS[e], MEGABYTE, large, cases[i], piece, &out),
                                     DP_INVALID);
                    assert_non_null(strstr(call.error.message, e == 1 ? "gzip stream" : "zstd stream"));
                    request_body_clear(&b, 0);
                }
        free(copy);
        free((void *)(uintptr_t)bytes.data);
    }
    request_body_deinit(&b);
}

/* Members of gzip may follow one another, in whatever pieces they come; nothing else may follow them. */
static void test_body_takes_several_gzip_members(void **state)
{
    (void)state;
    static uint8_t plain[3 * DECODE_STEP], packed[4 * DECODE_STEP + 1];
    static const size_t cuts[] = {0, 1, DECODE_STEP, 2 * DECODE_STEP, 2 * DECODE_STEP, sizeof plain};
    struct request_body b;
    struct span out;
    size_t len = 0;
    request_body_init(&b, &memory, &disk);
    fill(plain, sizeof plain);
    for (size_t i = 0; i + 1 < sizeof cuts / sizeof *cuts; i++) {
        const struct span member = pack(ENCODING_GZIP, span_of(plain + cuts[i], cuts[i + 1] - cuts[i]));
        memcpy(packed + len, member.data, member.len);
        len += member.len;
        free((void *)(uintptr_t)member.data);
    }
    for (size_t piece = 1; piece < sizeof packed; piece = piece * 40 + 1) {
        const struct span whole = span_of(packed, len);
        assert_int_equal(send_body(&b, ENCODING_GZIP, MEGABYTE, false, whole, piece, &out), DP_OK);
        assert_true(span_equal(out, span_of(plain, sizeof plain)));
        request_body_clear(&b, 0);
        /* the last member is cut; a byte follows it; its sum is wrong */
        const struct span shorter = span_of(packed, len - 1), longer = span_of(packed, len + 1);
        assert_int_equal(send_body(&b, ENCODING_GZIP, MEGABYTE, false, shorter, piece, &out), DP_INVALID);
        request_body_clear(&b, 0);
        assert_int_equal(send_body(&b, ENCODING_GZIP, MEGABYTE, false, longer, piece, &out), DP_INVALID);
        request_body_clear(&b, 0);
        packed[len - 5] ^= 1;
        assert_int_equal(send_body(&b, ENCODING_GZIP, MEGABYTE, false, whole, piece, &out), DP_INVALID);
        packed[len - 5] ^= 1;
        request_body_clear(&b, 0);
    }
    assert_int_equal(send_body(&b, ENCODING_GZIP, sizeof plain - 1, false, span_of(packed, len), 100, &out),
                     DP_TOO_LARGE);
    request_body_deinit(&b);
}

/* Frames of zstd may follow one another; one whose window exceeds 8 MiB is refused. */
static void test_body_takes_zstd_as_http_has_it(void **state)
{
    (void)state;
    static uint8_t plain[20 * MEGABYTE], packed[21 * MEGABYTE];
    struct request_body b;
    struct span out;
    request_body_init(&b, &memory, &disk);
    fill(plain, sizeof plain);
    size_t len = ZSTD_compress(packed, sizeof packed, plain, 1000, 3);
    len += ZSTD_compress(packed + len, sizeof packed - len, plain + 1000, 1000, 3);
    assert_int_equal(send_body(&b, ENCODING_ZSTD, MEGABYTE, false, span_of(packed, len), 100, &out), DP_OK);
    assert_true(span_equal(out, span_of(plain, 2000)));
    request_body_clear(&b, 0);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    for (int window = 23; window <= 24; window++) {
        ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, 1);
        ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, window);
        len = ZSTD_compress2(zstd, packed, sizeof packed, plain, sizeof plain);
        assert_false(ZSTD_isError(len));
        enum dp_status status =
            send_body(&b, ENCODING_ZSTD, 32 * MEGABYTE, true, span_of(packed, len), 30000, &out);
        assert_int_equal(status, window == 23 ? DP_OK : DP_INVALID);
        assert_true(window == 23 || strstr(call.error.message, "8388608"));
        request_body_clear(&b, 0);
    }
    ZSTD_freeCCtx(zstd);
    request_body_deinit(&b);
}

static void test_body_counts_against_the_quotas(void **state)
{
    (void)state;
    static uint8_t plain[12 * MEGABYTE];
    struct request_body b, other;
    struct span out;
    request_body_init(&b, &memory, &disk);
    request_body_init(&other, &memory, &disk);
    disk.max = 23 * MEGABYTE;
    struct span whole = span_of(plain, sizeof plain);
    assert_int_equal(send_body(&b, ENCODING_IDENTITY, 12 * MEGABYTE, true, whole, 30000, &out), DP_OK);
    assert_int_equal(send_body(&other, ENCODING_IDENTITY, 12 * MEGABYTE, true, whole, 30000, &out), DP_OVERLOADED);
    assert_non_null(strstr(call.error.message, "disk space"));
    request_body_clear(&other, 0);
    disk.max = 24 * MEGABYTE;
    assert_int_equal(send_body(&other, ENCODING_IDENTITY, 12 * MEGABYTE, true, whole, 30000, &out), DP_OK);
    request_body_clear(&other, 0);
    memory.max = BODY_MEMORY_MAX + MEGABYTE;
    assert_int_equal(send_body(&other, ENCODING_IDENTITY, 12 * MEGABYTE, true, whole, 30000, &out), DP_OVERLOADED);
    assert_non_null(strstr(call.error.message, "memory"));
    request_body_deinit(&other);
    request_body_deinit(&b);
}

static void test_body_that_waits_for_a_key_counts_later(void **state)
{
    (void)state;
    struct request_body b;
    request_body_init(&b, &memory, &disk);
    request_body_begin(&b, ENCODING_IDENTITY, 1000, true);
    b.waits = true;
    assert_int_equal(request_body_keep(&b, span_str("some bytes"), &call.error), DP_OK);
    assert_int_equal(atomic_load(&memory.held), 0);
    assert_int_equal(request_body_count(&b, &call.error), DP_OK);
    assert_int_equal(atomic_load(&memory.held), 10);
    assert_int_equal(request_body_keep(&b, span_str("more"), &call.error), DP_OK);
    assert_int_equal(atomic_load(&memory.held), 14);
    request_body_deinit(&b);
}

static void test_body_without_a_temporary_file_is_unavailable(void **state)
{
    (void)state;
    static uint8_t plain[9 * MEGABYTE];
    struct request_body b;
    struct span out;
    char *before = getenv("TMPDIR") ? strdup(getenv("TMPDIR")) : NULL;
    request_body_init(&b, &memory, &disk);
    setenv("TMPDIR", "/nonexistent/folder", 1);
    assert_int_equal(
        send_body(&b, ENCODING_IDENTITY, 9 * MEGABYTE, true, span_of(plain, sizeof plain), 30000, &out),
        DP_UNAVAILABLE);
    assert_non_null(strstr(call.error.message, "temporary file"));
    request_body_clear(&b, 0);
    /* 8 MiB need none. */
    assert_int_equal(
        send_body(&b, ENCODING_IDENTITY, 9 * MEGABYTE, true, span_of(plain, 8 * MEGABYTE), 30000, &out), DP_OK);
    if (before)
        setenv("TMPDIR", before, 1);
    else
        unsetenv("TMPDIR");
    free(before);
    request_body_deinit(&b);
}

static void test_body_of_a_client_that_left_is_not_stored(void **state)
{
    (void)state;
    static uint8_t plain[2 * MEGABYTE];
    struct request_body b;
    struct span out;
    request_body_init(&b, &memory, &disk);
    atomic_store(&left, true);
    assert_int_equal(
        send_body(&b, ENCODING_IDENTITY, 9 * MEGABYTE, true, span_of(plain, sizeof plain), 30000, &out),
        DP_CANCELLED);
    request_body_deinit(&b);
}

static void test_body_may_run_out_of_memory_anywhere(void **state)
{
    (void)state;
    static uint8_t plain[200000];
    const size_t before = test_alloc_live();
    fill(plain, sizeof plain);
    for (size_t e = 0; e < 3; e++) {
        struct span bytes = pack(ENCODINGS[e], span_of(plain, sizeof plain));
        for (size_t n = 1, fired = 1; fired; n = test_alloc_next(n)) {
            struct request_body b;
            struct span out;
            request_body_init(&b, &memory, &disk);
            test_alloc_fail_at(n);
            enum dp_status status = send_body(&b, ENCODINGS[e], MEGABYTE, true, bytes, 4096, &out);
            fired = test_alloc_fired();
            test_alloc_fail_at(0);
            request_body_deinit(&b);
            assert_int_equal(test_alloc_live(), before);
            assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        }
        free((void *)(uintptr_t)bytes.data);
    }
}

#define QUOTAS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUOTAS(test_body_gives_back_what_was_sent),
        QUOTAS(test_body_ends_at_its_limit),
        QUOTAS(test_body_stops_a_bomb),
        QUOTAS(test_body_refuses_what_is_not_of_its_encoding),
        QUOTAS(test_body_takes_several_gzip_members),
        QUOTAS(test_body_takes_zstd_as_http_has_it),
        QUOTAS(test_body_counts_against_the_quotas),
        QUOTAS(test_body_that_waits_for_a_key_counts_later),
        QUOTAS(test_body_without_a_temporary_file_is_unavailable),
        QUOTAS(test_body_of_a_client_that_left_is_not_stored),
        QUOTAS(test_body_may_run_out_of_memory_anywhere),
    };
    return test_run(tests);
}
