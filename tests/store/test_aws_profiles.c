/* test_aws_profiles.c: compares what profile files of AWS's tools mean with what botocore makes of them. The cases and
 * botocore's outcomes come from tests/golden/make_aws_profiles.py. */
#include "test_support.h"

#include <stdio.h>

#include "base/json.h"
#include "os/file.h"
#include "store/s3/credentials_profile.h"
#include "store/s3/credentials_sources.h"
#include "store/s3/shell_words.h"

static struct arena arena;

/* ---- the recorded cases ------------------------------------------------------------------------------ */

/* Returns the raw JSON of a member; .data is NULL if the object has none. */
static struct span member(struct span object, const char *name)
{
    struct json_reader r;
    struct span key, raw, found = {0};
    json_reader_init(&r, object);
    json_enter_object(&r);
    while (json_next_key(&r, &arena, &key))
        if (json_read_raw(&r, &raw) && span_equal_str(key, name))
            found = raw;
    assert_false(json_failed(&r));
    return found;
}

/* Returns a text; .data is NULL for null and for a missing value. Numbers stay as they are written. */
static struct span text_of(struct span raw)
{
    struct json_reader r;
    struct span text = {0};
    if (!raw.data || span_equal_str(raw, "null") || raw.data[0] != '"')
        return span_equal_str(raw, "null") ? (struct span){0} : raw;
    json_reader_init(&r, raw);
    assert_true(json_read_string(&r, &arena, &text));
    return text.data ? text : span_str("");
}

static size_t texts_of(struct span raw, struct span *texts, size_t max)
{
    struct json_reader r;
    struct span item;
    size_t count = 0;
    json_reader_init(&r, raw);
    json_enter_array(&r);
    while (json_next_item(&r) && json_read_raw(&r, &item)) {
        assert_true(count < max);
        texts[count++] = text_of(item);
    }
    assert_false(json_failed(&r));
    return count;
}

/* ---- comparing --------------------------------------------------------------------------------------- */

static void expect_text(const char *name, const char *what, struct span got, struct span want)
{
    if ((got.data != NULL) != (want.data != NULL) || !span_equal(got, want))
        fail_msg("%s: %s is \"%.*s\"; botocore has \"%.*s\"", name, what, SPAN_FMT(got), SPAN_FMT(want));
}

static void expect_member(const char *name, struct span object, const char *what, struct span got)
{
    expect_text(name, what, got, text_of(member(object, what)));
}

static const char *method_of(enum aws_profile_source source)
{
    static const char *const METHODS[] = {[AWS_PROFILE_ROLE] = "assume-role",
                                          [AWS_PROFILE_WEB_IDENTITY] = "assume-role-with-web-identity",
                                          [AWS_PROFILE_SSO] = "sso",
                                          [AWS_PROFILE_CREDENTIALS_KEYS] = "shared-credentials-file",
                                          [AWS_PROFILE_LOGIN] = "login",
                                          [AWS_PROFILE_PROCESS] = "custom-process",
                                          [AWS_PROFILE_CONFIG_KEYS] = "config-file"};
    return METHODS[source];
}

static void expect_keys(const char *name, const struct aws_file_keys *keys, struct span want)
{
    struct span texts[3];
    assert_int_equal(texts_of(want, texts, 3), 3);
    expect_text(name, "the access key id", keys->id, texts[0]);
    expect_text(name, "the secret", keys->secret, texts[1]);
    expect_text(name, "the token", keys->token, texts[2]);
}

static void expect_command(const char *name, struct span command, struct span want)
{
    struct span texts[16];
    struct shell_words split;
    struct dp_error error;
    size_t count = texts_of(want, texts, sizeof texts / sizeof *texts);
    assert_int_equal(shell_words_split(command, &arena, &split, &error), DP_OK);
    assert_int_equal(split.count, count);
    for (size_t i = 0; i < count; i++)
        expect_text(name, "a word", split.words[i], texts[i]);
}

static void expect_outcome(const char *name, const struct aws_files *files, struct span profile, bool is_source,
                           struct span want)
{
    struct aws_profile p;
    aws_profile_find(files, profile, &p);
    enum aws_profile_source source =
        is_source && aws_profile_has_keys(&p) ? aws_profile_source_but_role(&p) : aws_profile_source(&p);
    const char *method = method_of(source);
    expect_member(name, want, "method", method ? span_str(method) : (struct span){0});
    struct span role = member(want, "role");
    if (role.data) {
        expect_member(name, role, "RoleArn", p.role_arn);
        expect_member(name, role, "RoleSessionName", p.role_session_name);
        expect_member(name, role, "ExternalId", p.external_id);
        expect_member(name, role, "DurationSeconds", p.duration_seconds);
    }
    if (source == AWS_PROFILE_ROLE)
        expect_outcome(name, files, p.source_profile, true, member(want, "source"));
    if (source == AWS_PROFILE_WEB_IDENTITY)
        expect_member(name, want, "token_file", p.web_identity_token_file);
    if (source == AWS_PROFILE_CREDENTIALS_KEYS)
        expect_keys(name, &p.credentials_keys, member(want, "keys"));
    if (source == AWS_PROFILE_CONFIG_KEYS)
        expect_keys(name, &p.config_keys, member(want, "keys"));
    if (source == AWS_PROFILE_PROCESS)
        expect_command(name, p.credential_process, member(want, "command"));
    if (source == AWS_PROFILE_SSO) {
        struct aws_sso sso;
        struct dp_error error;
        if (aws_profile_sso(files, &p, profile, &sso, &error) != DP_OK)
            fail_msg("%s: %s", name, error.message);
        want = member(want, "sso");
        expect_member(name, want, "session", sso.session);
        expect_member(name, want, "start_url", sso.start_url);
        expect_member(name, want, "region", sso.region);
        expect_member(name, want, "account_id", sso.account_id);
        expect_member(name, want, "role_name", sso.role_name);
    }
}

/* ---- running the cases ------------------------------------------------------------------------------- */

static const char *write_text(const char *folder, const char *name, struct span text)
{
    struct dp_error error;
    const char *path = arena_printf(&arena, "%s/%s", folder, name);
    assert_non_null(path);
    assert_int_equal(os_write_file(path, text, &error), DP_OK);
    return path;
}

/* Asks all sources for keys. Nothing answers at the address of STS. */
static enum dp_status ask(const struct s3_settings *settings, struct aws_keys **keys, struct dp_error *error)
{
    struct call call;
    call_init(&call, &arena);
    call_limit_ms(&call, 60000);
    enum dp_status status = credentials_ask_sources(&call, settings, "eu-west-1", 0, keys);
    *error = call.error;
    return status;
}

static void run_case(const char *folder, struct span c)
{
    struct span name_text = text_of(member(c, "name")), profile = text_of(member(c, "profile"));
    struct span want = member(c, "botocore"), failure = text_of(member(want, "error")), url;
    const char *name = arena_printf(&arena, "%.*s", SPAN_FMT(name_text));
    const struct s3_settings settings = {
        .credentials_file = write_text(folder, "credentials", text_of(member(c, "credentials"))),
        .config_file = write_text(folder, "config", text_of(member(c, "config"))),
        .profile = profile.data ? arena_printf(&arena, "%.*s", SPAN_FMT(profile)) : NULL,
        .sts_endpoint_url = "http://127.0.0.1:1",
        .metadata_disabled = true,
    };
    struct aws_files files;
    struct aws_profile p;
    struct dp_error error = {0};
    struct aws_keys *keys = NULL;
    if (text_of(member(c, "ours")).data) {
        if (ask(&settings, &keys, &error) != DP_OK || !span_equal_str(keys->access_key_id, "AKIA1"))
            fail_msg("%s: %s", name, error.message);
        aws_keys_release(keys);
        return;
    }
    enum dp_status status = credentials_profile(&settings, &arena, &files, &p, &error);
    if (status == DP_OK)
        status = aws_profile_endpoint(&files, &p, "s3", &url, &error);
    if (failure.data) {
        if (status == DP_OK)
            status = ask(&settings, &keys, &error);
        if (status == DP_OK || status == DP_UNAVAILABLE) /* DP_UNAVAILABLE: it asked STS */
            fail_msg("%s: botocore fails with %.*s; ours %s", name, SPAN_FMT(failure), error.message);
        assert_true(error.message[0] != '\0');
        return;
    }
    if (status != DP_OK)
        fail_msg("%s: %s", name, error.message);
    expect_outcome(name, &files, profile.data ? profile : span_str("default"), false, want);
    expect_member(name, want, "region", p.region);
    expect_member(name, want, "endpoint", url);
    expect_member(name, want, "addressing", ini_nested(p.s3, "addressing_style"));
}

static void test_store_profiles_mean_what_botocore_makes_of_them(void **state)
{
    (void)state;
    struct json_reader r;
    struct span c;
    unsigned count = 0;
    const char *folder = test_tmpdir();
    arena_init(&arena, 64 << 20);
    json_reader_init(&r, member(test_data("aws-profiles/cases.json"), "cases"));
    json_enter_array(&r);
    for (; json_next_item(&r) && json_read_raw(&r, &c); count++)
        run_case(folder, c);
    assert_false(json_failed(&r));
    assert_true(count >= 90);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_profiles_mean_what_botocore_makes_of_them),
    };
    return test_run(tests);
}
