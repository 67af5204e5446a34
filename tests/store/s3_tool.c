/* s3_tool.c: runs the S3 store against other people's S3 servers, which tests/e2e/test_s3.py starts.
 *
 *     S3_ENDPOINT_URL=… AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… s3_tool COMMAND
 *
 *     contract NAME [holds-both] [by-host] [not-atomic]   the contract suite, each test in a new bucket;
 *         holds-both: the store keeps "a" beside "a/b"; by-host: requests name the bucket in the host, as in
 *         bucket.example.com; not-atomic: tests with concurrent reads and writes of one name are left out
 *     make-bucket NAME
 *     presign BUCKET KEY SECONDS                          prints a URL to get the object with
 */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/url.h"
#include "contract.h"
#include "os/clock.h"
#include "os/random.h"
#include "store/s3/s3.h"

static struct s3_settings settings;
static char last_url[64];

static struct store *open_bucket(bool create)
{
    struct arena arena;
    struct call call;
    struct store *store;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    call_limit_ms(&call, 60000);
    if (store_open_with(&call, span_str(last_url), &(struct store_options){.settings = {{"s3", &settings}}},
                        &store) != DP_OK)
        fail_msg("%s", call.error.message);
    if (create) {
        struct transport_request req = {.method = HTTP_PUT};
        assert_int_equal(s3_request(&call, s3_of(store), (struct span){0}, NULL, 0, &req), DP_OK);
        if (s3_send(&call, s3_of(store), &req) != DP_OK || req.code != 200)
            fail_msg("cannot make the bucket %s: %d %s", last_url, req.code, call.error.message);
        store_bytes_release(&req.bytes);
    }
    arena_deinit(&arena);
    return store;
}

static struct store *open_fresh(void)
{
    char ulid[ULID_LEN + 1];
    struct dp_error error;
    assert_int_equal(os_ulid(ulid, &error), DP_OK);
    for (char *c = ulid; *c; c++) /* names of buckets have no capital letters */
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    snprintf(last_url, sizeof last_url, "s3://contract-%s", ulid);
    return open_bucket(true);
}

static struct store *reopen(struct store *first)
{
    (void)first;
    return open_bucket(false);
}

/* Makes the bucket. Fails if the server does not answer 200. */
static int make_bucket(const char *name)
{
    snprintf(last_url, sizeof last_url, "s3://%s", name);
    store_free(open_bucket(true));
    return test_finish(0);
}

/* Prints a URL with which anyone may get the object until it expires. */
static int presign(const char *bucket, const char *key, unsigned seconds)
{
    struct arena arena;
    struct dp_error error = {0};
    struct sigv4_pair *query;
    size_t count;
    snprintf(last_url, sizeof last_url, "s3://%s", bucket);
    struct store *store = open_bucket(false);
    const struct s3_store *s3 = s3_of(store);
    arena_init(&arena, 1 << 20);
    const char *path = arena_printf(&arena, "%.*s%s", SPAN_FMT(s3->base_path), key);
    const struct sigv4_pair headers[] = {{span_str("host"), url_host_header(s3->origin)}};
    struct sigv4_signer signer = {.access_key_id = span_str(settings.access_key_id),
                                  .secret_access_key = span_str(settings.secret_access_key),
                                  .region = s3->region,
                                  .service = span_str("s3")};
    const struct sigv4_request request = {.method = span_str("GET"),
                                          .path = span_str(path),
                                          .headers = headers,
                                          .header_count = 1,
                                          .payload_hash = span_str(SIGV4_UNSIGNED_PAYLOAD)};
    struct buffer url;
    buffer_init(&url, 1 << 16);
    sigv4_date(os_wall_ms(), signer.date);
    if (sigv4_presign(&signer, &request, seconds, &arena, &query, &count, NULL, &error) != DP_OK)
        fail_msg("%s", error.message);
    buffer_append(&url, s3->origin);
    percent_append(&url, request.path, true);
    sigv4_query(&url, query, count);
    printf("%.*s\n", SPAN_FMT(buffer_span(&url)));
    buffer_deinit(&url);
    arena_deinit(&arena);
    store_free(store);
    return test_finish(0);
}

static int usage(void)
{
    fprintf(stderr, "usage: s3_tool contract NAME [holds-both] [by-host] [not-atomic] | make-bucket NAME |"
                    " presign BUCKET KEY SECONDS\n");
    return 2;
}

int main(int argc, char **argv)
{
    settings.endpoint_url = getenv("S3_ENDPOINT_URL");
    settings.access_key_id = getenv("AWS_ACCESS_KEY_ID");
    settings.secret_access_key = getenv("AWS_SECRET_ACCESS_KEY");
    if (argc < 3 || !settings.endpoint_url || !settings.access_key_id || !settings.secret_access_key)
        return usage();
    if (strcmp(argv[1], "make-bucket") == 0)
        return make_bucket(argv[2]);
    if (strcmp(argv[1], "presign") == 0 && argc == 5)
        return presign(argv[2], argv[3], (unsigned)strtoul(argv[4], NULL, 10));
    if (strcmp(argv[1], "contract") != 0)
        return usage();
    struct contract_store store = {
        .name = argv[2], .open = open_fresh, .reopen = reopen, .remote = true, .no_size_of_unchanged = true};
    for (int i = 3; i < argc; i++) {
        store.holds_name_and_folder |= strcmp(argv[i], "holds-both") == 0;
        store.not_atomic |= strcmp(argv[i], "not-atomic") == 0;
        if (strcmp(argv[i], "by-host") == 0)
            settings.addressing = S3_ADDRESSING_HOST;
    }
    return test_finish(contract_run(&store));
}
