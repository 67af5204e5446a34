/* test_config.c: every setting from every source, which source wins, and the errors for wrong values. */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/settings.h"
#include "os/file.h"

/* ---- shorthands ------------------------------------------------------------------------------------- */

static char *no_variables[] = {NULL};

/* Writes a settings file and returns its path (a static buffer). */
static const char *write_file(const char *text)
{
    static char path[512];
    static unsigned count;
    static const char *folder;
    if (!folder)
        folder = test_tmpdir();
    struct dp_error error;
    snprintf(path, sizeof path, "%s/%u.toml", folder, count++);
    assert_int_equal(os_write_file(path, span_str(text), &error), DP_OK);
    return path;
}

static const char *empty_file(void)
{
    static char path[512];
    if (!path[0])
        snprintf(path, sizeof path, "%s", write_file(""));
    return path;
}

/* Loads settings from one flag, one variable ("NAME=value") and the text of a file. Each may be NULL. */
static enum dp_status load(const char *flag, const char *variable, const char *toml, struct config *out,
                           struct dp_error *error)
{
    char *argv[] = {(char *)(uintptr_t)flag, NULL}, *variables[] = {(char *)(uintptr_t)variable, NULL};
    const struct config_sources sources = {.argv = argv,
                                           .argc = flag != NULL,
                                           .environ = variables,
                                           .toml_path = toml ? write_file(toml) : empty_file()};
    *error = (struct dp_error){0};
    return config_load(&sources, out, error);
}

/* Returns the line that config_print_effective writes for a setting, in a static buffer. */
static const char *effective(const struct config *config, const char *name)
{
    static char line[1024];
    FILE *out = tmpfile();
    assert_non_null(out);
    config_print_effective(out, config);
    rewind(out);
    size_t len = strlen(name);
    bool found = false;
    while (!found && fgets(line, sizeof line, out))
        found = strncmp(line, name, len) == 0 && line[len] == ' ';
    fclose(out);
    assert_true(found);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static void expect(const struct config *config, const char *name, const char *value, const char *origin)
{
    char line[2048];
    snprintf(line, sizeof line, "%s = %s (%s)", name, value, origin);
    assert_string_equal(effective(config, name), line);
}

/* Returns the last of a NULL-ended list. No setting has it as its default. */
static const char *last_of(const char *const *list)
{
    while (list[1] != NULL)
        list++;
    return *list;
}

/* good_value() returns an allowed value that differs from the default; bad_value() one that is not allowed. */
static const char *good_value(const struct setting *s)
{
    static char text[64];
    if (s->is_for_us)
        return s->is_for_us == setting_is_address ? "::1"
               : s->is_for_us == setting_is_redis ? "redis://h"
                                                  : "sqlite:///a.db";
    switch (s->type) {
    case SETTING_TEXT:
        snprintf(text, sizeof text, "%.*s", s->max < 9 ? (int)s->max : 9, "some-text");
        return strcmp(s->name, "config") == 0 ? empty_file() : text;
    case SETTING_INTEGER: snprintf(text, sizeof text, "%llu", (unsigned long long)s->min + 3); return text;
    case SETTING_BOOLEAN: return "true";
    case SETTING_BYTES: return "96KiB";
    case SETTING_DURATION: return "1500ms";
    case SETTING_CHOICE: return last_of(s->choices);
    case SETTING_LISTEN: return "[fe80::1]:1234";
    }
    return NULL;
}

static const char *bad_value(const struct setting *s)
{
    static char text[64];
    switch (s->type) {
    case SETTING_TEXT: return "bell\a";
    case SETTING_INTEGER: snprintf(text, sizeof text, "%llu", (unsigned long long)s->max + 1); return text;
    case SETTING_BOOLEAN: return "maybe";
    case SETTING_BYTES: snprintf(text, sizeof text, "%lluB", (unsigned long long)s->max + 1); return text;
    case SETTING_DURATION: snprintf(text, sizeof text, "%llums", (unsigned long long)s->max + 1); return text;
    case SETTING_CHOICE: return "loud";
    case SETTING_LISTEN: return "8000";
    }
    return NULL;
}

/* Returns the line of dipper.toml that sets the value: "name = value". */
static const char *toml_line(const struct setting *s, const char *value)
{
    static char text[1024];
    bool bare = s->type == SETTING_INTEGER || s->type == SETTING_BOOLEAN;
    const char *quote = bare ? "" : "\"";
    snprintf(text, sizeof text, "%s = %s%s%s\n", s->name, quote, value[0] == 'b' ? "bell\\u0007" : value, quote);
    return text;
}

/* ---- every setting ---------------------------------------------------------------------------------- */

static void test_config_defaults(void **state)
{
    (void)state;
    struct config config;
    struct dp_error error;
    assert_int_equal(load(NULL, NULL, NULL, &config, &error), DP_OK);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &SETTINGS[i];
        expect(&config, s->name, s->initial ? s->initial : s->initial_help, "default");
    }
    assert_string_equal(config.host, "127.0.0.1");
    assert_int_equal(config.port, 8000);
    assert_int_equal(config.request_threads, 64);
    assert_int_equal(config.max_body_bytes, 32 << 20);
    assert_int_equal(config.idle_timeout_ms, 75000);
    assert_string_equal(config.root, "");
    assert_string_equal(config.log_level, "info");
    assert_false(config.insecure);
    config_deinit(&config);
}

static void test_config_each_setting_from_each_source(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &SETTINGS[i];
        struct config config;
        struct dp_error error;
        char text[600], value[512], origin[600];
        snprintf(value, sizeof value, "%s", good_value(s));
        const char *shown = s->secret ? "(hidden)" : value;
        if (s->flag) {
            snprintf(text, sizeof text, "%s=%s", s->flag, value);
            assert_int_equal(load(text, NULL, NULL, &config, &error), DP_OK);
            expect(&config, s->name, shown, s->flag);
            config_deinit(&config);
        }
        for (size_t v = 0; v < SETTING_VARIABLES_MAX && s->variables[v]; v++) {
            snprintf(text, sizeof text, "%s=%s", s->variables[v], value);
            snprintf(origin, sizeof origin, "environment %s", s->variables[v]);
            assert_int_equal(load(NULL, text, NULL, &config, &error), DP_OK);
            expect(&config, s->name, shown, origin);
            config_deinit(&config);
        }
        if (s->not_in_file)
            continue;
        const char *path = write_file(toml_line(s, value));
        const struct config_sources file = {.environ = no_variables, .toml_path = path};
        assert_int_equal(config_load(&file, &config, &error), DP_OK);
        snprintf(origin, sizeof origin, "%s, line 1", path);
        expect(&config, s->name, shown, origin);
        config_deinit(&config);
    }
}

static unsigned warned;
static char last_warning[1024];

static void count_warning(const char *text)
{
    warned++;
    snprintf(last_warning, sizeof last_warning, "%s", text);
}

/* Fails the test unless loading skipped `count` values and the last warning contains `says`. */
static void expect_warnings(const struct config *config, unsigned count, const char *says)
{
    warned = 0;
    last_warning[0] = '\0';
    config_each_warning(config, count_warning);
    assert_int_equal(warned, count);
    if (!strstr(last_warning, says))
        fail_msg("\"%s\" does not contain %s", last_warning, says);
}

static void expect_refusal(const struct setting *s, const struct dp_error *error, const char *value,
                           const char *from)
{
    char allowed[SETTING_ALLOWED_MAX];
    setting_allowed(s, allowed);
    if (s->secret && value[0] == 'b' && strstr(error->message, value))
        fail_msg("\"%s\" shows a secret", error->message);
    if (s->secret)
        value = "(hidden)";
    if (!strstr(error->message, s->name) || !strstr(error->message, value) || !strstr(error->message, from) ||
        !strstr(error->message, allowed))
        fail_msg("\"%s\" does not contain %s, %s, %s and %s", error->message, s->name, value, from, allowed);
}

static void test_config_each_setting_refuses_a_wrong_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &SETTINGS[i];
        struct config config;
        struct dp_error error;
        char text[1100];
        const char *value = bad_value(s);
        if (s->flag) {
            snprintf(text, sizeof text, "%s=%s", s->flag, value);
            assert_int_equal(load(text, NULL, NULL, &config, &error), DP_INVALID);
            expect_refusal(s, &error, value, s->flag);
            config_deinit(&config);
        }
        for (size_t v = 0; v < SETTING_VARIABLES_MAX && s->variables[v]; v++) {
            snprintf(text, sizeof text, "%s=%s", s->variables[v], value);
            const bool shared = setting_variable_is_shared(s->variables[v]);
            enum dp_status status = load(NULL, text, NULL, &config, &error);
            assert_int_equal(status, shared ? DP_OK : DP_INVALID);
            if (shared)
                expect_warnings(&config, 1, s->variables[v]);
            else
                expect_refusal(s, &error, value, s->variables[v]);
            config_deinit(&config);
        }
        if (s->not_in_file)
            continue;
        snprintf(text, sizeof text, "\n%s", toml_line(s, s->type == SETTING_BOOLEAN ? "\"maybe\"" : value));
        assert_int_equal(load(NULL, NULL, text, &config, &error), DP_INVALID);
        expect_refusal(s, &error, value, ".toml, line 2");
        config_deinit(&config);
        /* The value has another type. */
        bool wants_text = s->type == SETTING_TEXT || s->type == SETTING_CHOICE || s->type == SETTING_LISTEN;
        snprintf(text, sizeof text, "%s = %s\n", s->name, wants_text ? "7" : "\"1x\"");
        assert_int_equal(load(NULL, NULL, text, &config, &error), DP_INVALID);
        expect_refusal(s, &error, wants_text ? "7" : "1x", ".toml, line 1");
        config_deinit(&config);
    }
}

/* Kubernetes, conda, tcsh and other programs set variables that Dipper also reads. */
static void test_config_variables_of_other_programs_are_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *says;
    } cases[] = {
        {"DIPPER_PORT=tcp://10.96.0.12:8000", "Kubernetes"},
        {"DIPPER_PORT=udp://10.96.0.12:53", "enableServiceLinks"},
        {"HOST=x86_64-conda-linux-gnu", "environment HOST"},
        {"HOST=mylaptop.local", "DIPPER_HOST"},
        {"WORKERS=auto", "DIPPER_THREADS"},
        {"PORT=unix:/run/app.sock", "DIPPER_PORT"},
        {"MAX_TOKENS=4k", "model.max_tokens"},
        {"REDIS_URL=rediss://:hunter2@cache:6380", "rediss://:(hidden)@cache:6380"},
        {"DATABASE_URL=mysql://u:hunter2@db/app", "mysql://u:(hidden)@db/app"},
        {"API_KEY_PREFIX=much-too-long", "DIPPER_API_KEY_PREFIX"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config config;
        struct dp_error error;
        assert_int_equal(load(NULL, cases[i].variable, NULL, &config, &error), DP_OK);
        expect_warnings(&config, 1, cases[i].says);
        assert_null(strstr(last_warning, "hunter2"));
        expect(&config, "server.host", "127.0.0.1", "default");
        expect(&config, "server.port", "8000", "default");
        assert_string_equal(config.redis_url, "");
        assert_string_equal(config.database_url, "");
        config_deinit(&config);
    }
    /* Then the next name of the setting counts. */
    char *variables[] = {"DIPPER_PORT=tcp://10.96.0.12:8000",
                         "DIPPER_SERVICE_HOST=10.96.0.12",
                         "DIPPER_PORT_8000_TCP=tcp://10.96.0.12:8000",
                         "PORT=81",
                         "HOST=0.0.0.0",
                         NULL};
    const struct config_sources sources = {.environ = variables, .toml_path = empty_file()};
    struct config config;
    struct dp_error error;
    assert_int_equal(config_load(&sources, &config, &error), DP_OK);
    expect(&config, "server.port", "81", "environment PORT");
    expect(&config, "server.host", "0.0.0.0", "environment HOST");
    expect_warnings(&config, 0, "");
    config_deinit(&config);
}

/* An overridden value causes neither a refusal nor a warning. */
static void test_config_overridden_values_are_not_checked(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *variable, *toml;
        enum dp_status status;
    } cases[] = {
        {"--port=1", "DIPPER_PORT=x", NULL, DP_OK},
        {"--listen=h:1", "DIPPER_PORT=x", NULL, DP_OK},
        {"--listen=h:1", "DIPPER_PORT=tcp://10.96.0.12:8000", NULL, DP_OK},
        {"--listen=h:1", "HOST=conda", "[server]\nport = 65536\nhost = \"\"\n", DP_OK},
        {NULL, "DIPPER_LISTEN=h:1", "server.listen = \"x\"\n", DP_OK},
        {"--port=1", NULL, "server.listen = \"x\"\n", DP_INVALID}, /* the host is missing */
        {"--host=h", "DIPPER_LISTEN=x", NULL, DP_INVALID},
        {"--port=1", "DIPPER_HOST=\a", NULL, DP_INVALID},
        {"--threads=1", "DIPPER_THREADS=x", "compute.threads = \"x\"\n", DP_OK},
        {"--threads=x", "DIPPER_THREADS=1", NULL, DP_INVALID},
        {"--threads=1", NULL, "compute.thread = 1\n", DP_INVALID}, /* no such setting */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config config;
        struct dp_error error;
        if (load(cases[i].flag, cases[i].variable, cases[i].toml, &config, &error) != cases[i].status)
            fail_msg("case %zu: %s", i, error.message);
        if (cases[i].status == DP_OK)
            expect_warnings(&config, 0, "");
        config_deinit(&config);
    }
}

static void test_config_booleans_in_any_case(void **state)
{
    (void)state;
    static const char *const words[] = {"TRUE", "True", "YES", "On", "1", "FALSE", "no", "OFF", "0"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct config config;
        struct dp_error error;
        char variable[64];
        snprintf(variable, sizeof variable, "AWS_NO_SIGN_REQUEST=%s", words[i]);
        assert_int_equal(load(NULL, variable, NULL, &config, &error), DP_OK);
        assert_int_equal(config.s3_unsigned, i < 5);
        config_deinit(&config);
    }
    struct config config;
    struct dp_error error;
    assert_int_equal(load("--auth=yesno", NULL, NULL, &config, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "true, yes, on or 1; or false, no, off or 0"));
    config_deinit(&config);
}

/* Each name belongs to one setting, and each range fits its field. */
static void test_config_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &SETTINGS[i];
        assert_true((!s->flag || strncmp(s->flag, "--", 2) == 0) && s->variables[0] && s->help);
        /* Settings of clouds have the clouds' names. A secret has no flag, because any user of the machine can read flags. */
        assert_true(strncmp(s->variables[0], "DIPPER_", 7) == 0 || s->section == SECTION_S3 ||
                    s->section == SECTION_GCS || s->section == SECTION_AZURE || s->section == SECTION_HTTP);
        assert_true(!s->secret || !s->flag);
        assert_true(s->initial || s->initial_help);
        assert_int_equal(s->meta == NULL, s->type == SETTING_BOOLEAN || !s->flag);
        if (s->type == SETTING_INTEGER || s->type == SETTING_BYTES || s->type == SETTING_DURATION) {
            assert_true(s->size == 2 || s->size == 4 || s->size == 8);
            assert_true(s->size == 8 || (s->max < (uint64_t)1 << (8 * s->size) && !s->or_none));
        }
        for (size_t j = i + 1; j < SETTING_COUNT; j++) {
            assert_string_not_equal(s->name, SETTINGS[j].name);
            assert_true(!s->flag || !SETTINGS[j].flag || strcmp(s->flag, SETTINGS[j].flag) != 0);
        }
    }
}

/* The word "none" switches off a limit that may be absent, and the settings show it as "none". */
static void test_config_limits_may_be_none(void **state)
{
    (void)state;
    struct config config;
    struct dp_error error;
    char *argv[] = {"--merge-gap=none", "--split-at", "16MiB", "--cache-bytes=none"};
    struct config_sources sources = {.argv = argv, .argc = 4, .toml_path = empty_file()};
    assert_int_equal(config_load(&sources, &config, &error), DP_OK);
    assert_true(config.merge_gap == UINT64_MAX);
    assert_int_equal(config.split_at, 16 << 20);
    assert_true(config.cache_bytes == UINT64_MAX);
    config_deinit(&config);
    argv[0] = "--max-body-bytes=none";
    assert_int_equal(config_load(&sources, &config, &error), DP_INVALID);
    config_deinit(&config);
    argv[0] = "--merge-gap=some";
    assert_int_equal(config_load(&sources, &config, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "or none"));
    config_deinit(&config);
}

/* ---- sources ---------------------------------------------------------------------------------------- */

static void test_config_flag_over_environment_over_file(void **state)
{
    (void)state;
    struct config config;
    struct dp_error error;
    char *variables[] = {"PORT=2", "DIPPER_PORT=3", "HOST=", NULL};
    char *argv[] = {"--request-threads", "9", "--port=4", "--port", "5"};
    struct config_sources sources = {.argv = argv,
                                     .argc = 0,
                                     .environ = variables,
                                     .toml_path = write_file("[server]\nport = 1\nhost = 'h'\n")};
    assert_int_equal(config_load(&sources, &config, &error), DP_OK);
    assert_int_equal(config.port, 3);      /* DIPPER_PORT goes before PORT */
    assert_string_equal(config.host, "h"); /* an empty variable counts as unset */
    config_deinit(&config);
    sources.argc = 5;
    assert_int_equal(config_load(&sources, &config, &error), DP_OK);
    assert_int_equal(config.port, 5);
    assert_int_equal(config.request_threads, 9);
    config_deinit(&config);
    sources.argc = 0;
    sources.environ = NULL;
    assert_int_equal(config_load(&sources, &config, &error), DP_OK);
    assert_int_equal(config.port, 1);
    config_deinit(&config);
}

static void test_config_environment_of_other_groups_is_left_alone(void **state)
{
    (void)state;
    struct config config;
    struct dp_error error;
    char *variables[] = {"PORT=http", "WORKERS=2", NULL};
    const struct config_sources sources = {
        .environ = variables, .toml_path = empty_file(), .groups = CONFIG_GROUP_MODEL};
    assert_int_equal(config_load(&sources, &config, &error), DP_OK);
    assert_int_equal(config.port, 8000);
    assert_int_equal(config.threads, 2);
    config_deinit(&config);
}

static void test_config_listen_is_host_and_port(void **state)
{
    (void)state;
    struct config config;
    struct dp_error error;
    assert_int_equal(load("--listen=[::1]:0", "PORT=9", NULL, &config, &error), DP_OK);
    assert_string_equal(config.host, "::1");
    assert_int_equal(config.port, 0);
    expect(&config, "server.port", "0", "--listen");
    expect(&config, "server.listen", "[::1]:0", "--listen");
    config_deinit(&config);
    assert_int_equal(load("--port=7", NULL, "server.listen = \"localhost:9\"", &config, &error), DP_OK);
    expect(&config, "server.listen", "localhost:7", "--port");
    config_deinit(&config);
    const char *const bad[] = {"",     ":",     ":1",    "h:",   "h:x",  "h:65536",
                               "h:-1", "::1:8", "[::1]", "[]:1", "[h:1", "h\a:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char flag[64];
        snprintf(flag, sizeof flag, "--listen=%s", bad[i]);
        assert_int_equal(load(flag, NULL, NULL, &config, &error), DP_INVALID);
        config_deinit(&config);
    }
}

static void test_config_flags(void **state)
{
    (void)state;
    struct config config;
    struct dp_error error;
    assert_int_equal(load("--insecure", NULL, NULL, &config, &error), DP_OK);
    assert_true(config.insecure);
    config_deinit(&config);
    assert_int_equal(load("--no-insecure", "DIPPER_INSECURE=yes", NULL, &config, &error), DP_OK);
    assert_false(config.insecure);
    config_deinit(&config);
    assert_int_equal(load("--root=", NULL, "root = 'r'", &config, &error), DP_OK);
    assert_string_equal(config.root, "");
    config_deinit(&config);
    assert_int_equal(load("--ports=1", NULL, NULL, &config, &error), DP_INVALID);
    assert_string_equal(error.message, "there is no option --ports");
    config_deinit(&config);
    assert_int_equal(load("stray", NULL, NULL, &config, &error), DP_INVALID);
    config_deinit(&config);
    assert_int_equal(load("--port", NULL, NULL, &config, &error), DP_INVALID);
    assert_string_equal(error.message, "--port needs a value: N");
    config_deinit(&config);
    assert_true(config_flag_takes_value("--port"));
    assert_false(config_flag_takes_value("--port=1"));
    assert_false(config_flag_takes_value("--insecure"));
    assert_false(config_flag_takes_value("--no-insecure"));
    assert_false(config_flag_takes_value("--json"));
}

static void test_config_file(void **state)
{
    (void)state;
    struct config config;
    struct dp_error error;
    assert_int_equal(load(NULL, NULL, "[server]\nprot = 1\n", &config, &error), DP_INVALID);
    assert_non_null(strstr(error.message, ".toml, line 2: there is no setting server.prot"));
    config_deinit(&config);
    assert_int_equal(load(NULL, NULL, "config = 'x'\n", &config, &error), DP_INVALID);
    config_deinit(&config);
    assert_int_equal(load(NULL, NULL, "a = [1]\n", &config, &error), DP_UNSUPPORTED);
    assert_non_null(strstr(error.message, ".toml, line 1"));
    config_deinit(&config);
    const struct config_sources missing = {.toml_path = "/nowhere/dipper.toml"};
    assert_int_equal(config_load(&missing, &config, &error), DP_NOT_FOUND);
    assert_non_null(strstr(error.message, "/nowhere/dipper.toml"));
    config_deinit(&config);
    char flag[600], variable[600];
    snprintf(flag, sizeof flag, "--config=%s", write_file("server.port = 5\n"));
    snprintf(variable, sizeof variable, "DIPPER_CONFIG=%s", write_file("server.port = 6\n"));
    char *argv[] = {flag}, *variables[] = {variable, NULL};
    struct config_sources named = {.argv = argv, .argc = 1, .environ = variables};
    assert_int_equal(config_load(&named, &config, &error), DP_OK);
    assert_int_equal(config.port, 5);
    config_deinit(&config);
    named.argc = 0;
    assert_int_equal(config_load(&named, &config, &error), DP_OK);
    assert_int_equal(config.port, 6);
    config_deinit(&config);
}

static void test_config_file_of_the_working_folder(void **state)
{
    (void)state;
    struct config config;
    struct dp_error error;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(test_tmpdir()), 0);
    const struct config_sources none = {.environ = no_variables};
    assert_int_equal(config_load(&none, &config, &error), DP_OK);
    config_deinit(&config);
    assert_int_equal(os_write_file("dipper.toml", span_str("server.port = 4321\n"), &error), DP_OK);
    assert_int_equal(config_load(&none, &config, &error), DP_OK);
    expect(&config, "server.port", "4321", "dipper.toml, line 1");
    config_deinit(&config);
    assert_int_equal(chdir(before), 0);
}

/* ---- units, secrets, memory ------------------------------------------------------------------------- */

static void test_config_units(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        uint64_t value; /* 0: refused */
        const char *shown;
    } cases[] = {
        {"--max-body-bytes=1024", 1024, "1KiB"},
        {"--max-body-bytes=1025", 1025, "1025B"},
        {"--max-body-bytes=1025B", 1025, "1025B"},
        {"--max-body-bytes=3MiB", 3 << 20, "3MiB"},
        {"--max-body-bytes=1GiB", 1 << 30, "1GiB"},
        {"--max-body-bytes=2GiB", 0, NULL},
        {"--max-body-bytes=1023", 0, NULL},
        {"--max-body-bytes=1 MiB", 0, NULL},
        {"--max-body-bytes=1mib", 0, NULL},
        {"--max-body-bytes=-1", 0, NULL},
        {"--max-body-bytes=MiB", 0, NULL},
        {"--max-body-bytes=99999999999999999999", 0, NULL},
        {"--max-body-bytes=18014398509481984MiB", 0, NULL},
    };
    struct config config;
    struct dp_error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum dp_status status = load(cases[i].flag, NULL, NULL, &config, &error);
        assert_int_equal(status, cases[i].value ? DP_OK : DP_INVALID);
        if (cases[i].value) {
            assert_int_equal(config.max_body_bytes, cases[i].value);
            expect(&config, "limits.max_body_bytes", cases[i].shown, "--max-body-bytes");
        }
        config_deinit(&config);
    }
    assert_int_equal(
        load("--head-timeout=2", NULL, "limits.body_timeout = 3\nlimits.idle_timeout = \"1h\"", &config, &error),
        DP_OK);
    assert_int_equal(config.head_timeout_ms, 2000);
    assert_int_equal(config.body_timeout_ms, 3000);
    assert_int_equal(config.idle_timeout_ms, 3600000);
    config_deinit(&config);
}

static void test_config_hides_secrets(void **state)
{
    (void)state;
    struct {
        const char *url;
    } target = {NULL};
    const struct setting table[] = {{.name = "database.url",
                                     .flag = "--database-url",
                                     .variables = {"DATABASE_URL"},
                                     .type = SETTING_TEXT,
                                     .max = 20,
                                     .initial = "",
                                     .meta = "URL",
                                     .help = "",
                                     .secret = true}};
    struct arena arena;
    struct setting_origin origins[1];
    struct buffer line;
    struct dp_error error;
    arena_init(&arena, 1 << 20);
    buffer_init(&line, 1024);
    const struct settings settings = {table, 1, &target, origins, &arena, NULL};
    char *argv[] = {"--database-url", "pg://u:hunter2@h/db"};
    struct config_sources sources = {.argv = argv, .argc = 0, .toml_path = empty_file()};
    assert_int_equal(settings_load(&settings, &sources, &error), DP_OK);
    settings_describe(&settings, 0, &line);
    assert_true(span_equal_str(buffer_span(&line), "database.url =  (default)"));
    buffer_clear(&line);
    sources.argc = 2;
    assert_int_equal(settings_load(&settings, &sources, &error), DP_OK);
    assert_string_equal(target.url, "pg://u:hunter2@h/db");
    settings_describe(&settings, 0, &line);
    assert_true(span_equal_str(buffer_span(&line), "database.url = (hidden) (--database-url)"));
    argv[1] = "pg://u:hunter2@a-host-that-is-too-long/db";
    assert_int_equal(settings_load(&settings, &sources, &error), DP_INVALID);
    assert_null(strstr(error.message, "hunter2"));
    assert_non_null(strstr(error.message, "database.url"));
    buffer_deinit(&line);
    arena_deinit(&arena);
}

/* No shown or quoted URL contains its password. */
static void test_config_hides_secrets_in_urls(void **state)
{
    (void)state;
    struct {
        const char *url;
    } target = {NULL};
    const struct setting table[] = {{.name = "cache.redis_url",
                                     .flag = "--redis-url",
                                     .variables = {"DIPPER_REDIS_URL"},
                                     .type = SETTING_TEXT,
                                     .max = 32,
                                     .initial = "",
                                     .meta = "URL",
                                     .help = "",
                                     .secret_in_url = true}};
    struct arena arena;
    struct setting_origin origins[1];
    struct buffer line;
    struct dp_error error;
    arena_init(&arena, 1 << 20);
    buffer_init(&line, 1024);
    const struct settings settings = {table, 1, &target, origins, &arena, NULL};
    char *variables[] = {"DIPPER_REDIS_URL=redis://u:hunter2@h/1", NULL};
    const struct config_sources sources = {.environ = variables, .toml_path = empty_file()};
    assert_int_equal(settings_load(&settings, &sources, &error), DP_OK);
    assert_string_equal(target.url, "redis://u:hunter2@h/1");
    settings_describe(&settings, 0, &line);
    assert_true(span_equal_str(buffer_span(&line),
                               "cache.redis_url = redis://u:(hidden)@h/1 (environment DIPPER_REDIS_URL)"));
    variables[0] = "DIPPER_REDIS_URL=redis://u:hunter2@a-host-that-is-too-long";
    assert_int_equal(settings_load(&settings, &sources, &error), DP_INVALID);
    assert_null(strstr(error.message, "hunter2"));
    assert_non_null(strstr(error.message, "redis://u:(hidden)@a-host-that-is-too-long"));
    buffer_deinit(&line);
    arena_deinit(&arena);
}

/* The endpoint of a store may contain a user's name and password. */
static void test_config_hides_the_password_of_an_endpoint(void **state)
{
    (void)state;
    struct config config;
    struct dp_error error;
    assert_int_equal(load("--s3-endpoint-url=http://u:hunter2@h:1", NULL, NULL, &config, &error), DP_OK);
    assert_string_equal(config.s3_endpoint_url, "http://u:hunter2@h:1");
    expect(&config, "s3.endpoint_url", "http://u:(hidden)@h:1", "--s3-endpoint-url");
    config_deinit(&config);
}

static void test_config_help_names_every_setting(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    config_print_help(out, CONFIG_GROUP_ALL);
    fclose(out);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (!SETTINGS[i].flag)
            continue;
        assert_non_null(strstr(text, SETTINGS[i].flag));
        assert_non_null(strstr(text, SETTINGS[i].variables[0]));
    }
    free(text);
    out = open_memstream(&text, &len);
    config_print_help(out, CONFIG_GROUP_STORE);
    fclose(out);
    assert_non_null(strstr(text, "--root"));
    assert_non_null(strstr(text, "--config"));
    assert_null(strstr(text, "--port"));
    free(text);
}

/* A refusal that quotes the value allocates memory. */
static void test_config_refusal_survives_failed_allocations(void **state)
{
    (void)state;
    char *argv[] = {"--port", "http"};
    const struct config_sources sources = {.argv = argv, .argc = 2, .toml_path = empty_file()};
    for (size_t n = 1;; n++) {
        struct config config;
        struct dp_error error = {0};
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = config_load(&sources, &config, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        config_deinit(&config);
        assert_int_equal(test_alloc_live(), before);
        assert_int_equal(status, fired ? DP_NOMEM : DP_INVALID);
        if (!fired)
            break;
    }
}

static void test_config_survives_failed_allocations(void **state)
{
    (void)state;
    char *argv[] = {"--port", "5"}, *variables[] = {"DIPPER_ROOT=/r", NULL};
    const struct config_sources sources = {
        .argv = argv, .argc = 2, .environ = variables, .toml_path = write_file("[server]\nhost = \"h\"\n")};
    for (size_t n = 1;; n++) {
        struct config config;
        struct dp_error error = {0};
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = config_load(&sources, &config, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        config_deinit(&config);
        assert_int_equal(test_alloc_live(), before);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_defaults),
        cmocka_unit_test(test_config_each_setting_from_each_source),
        cmocka_unit_test(test_config_each_setting_refuses_a_wrong_value),
        cmocka_unit_test(test_config_variables_of_other_programs_are_skipped),
        cmocka_unit_test(test_config_overridden_values_are_not_checked),
        cmocka_unit_test(test_config_booleans_in_any_case),
        cmocka_unit_test(test_config_table_is_sound),
        cmocka_unit_test(test_config_limits_may_be_none),
        cmocka_unit_test(test_config_flag_over_environment_over_file),
        cmocka_unit_test(test_config_environment_of_other_groups_is_left_alone),
        cmocka_unit_test(test_config_listen_is_host_and_port),
        cmocka_unit_test(test_config_flags),
        cmocka_unit_test(test_config_file),
        cmocka_unit_test(test_config_file_of_the_working_folder),
        cmocka_unit_test(test_config_units),
        cmocka_unit_test(test_config_hides_secrets),
        cmocka_unit_test(test_config_hides_secrets_in_urls),
        cmocka_unit_test(test_config_hides_the_password_of_an_endpoint),
        cmocka_unit_test(test_config_help_names_every_setting),
        cmocka_unit_test(test_config_survives_failed_allocations),
        cmocka_unit_test(test_config_refusal_survives_failed_allocations),
    };
    return test_run(tests);
}
