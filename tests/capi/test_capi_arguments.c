/* test_capi_arguments.c: structs of programs that were built with an older or a newer header, and the version's
 * numbers. */
#include <dipper/dipper.h>

#include <stdio.h>
#include <string.h>

#include "capi/arguments.h"
#include "test_support.h"

/* A struct of this version, of an older and of a newer one. */
struct now {
    size_t size;
    uint64_t first, second;
};
struct older {
    size_t size;
    uint64_t first;
};
struct newer {
    size_t size;
    uint64_t first, second, third;
};

static enum dp_status read_options(const void *from, struct now *to, struct dp_error *error)
{
    memset(to, 0xee, sizeof *to);
    return capi_options(error, "dp_test", "struct now", from, to, sizeof *to);
}

static void test_capi_options_of_an_older_program_end_in_zeros(void **state)
{
    (void)state;
    struct {
        struct older options;
        uint64_t behind;
    } memory = {{.size = sizeof(struct older), .first = 7}, UINT64_MAX};
    struct now o;
    assert_int_equal(read_options(&memory.options, &o, NULL), DP_OK);
    assert_int_equal(o.first, 7);
    assert_int_equal(o.second, 0);
    const size_t bare = sizeof bare; /* a struct with its size only */
    assert_int_equal(read_options(&bare, &o, NULL), DP_OK);
    assert_int_equal(o.first, 0);
    assert_int_equal(o.second, 0);
    /* A size that ends inside a field. */
    const struct now half = {.size = sizeof(size_t) + 4, .first = UINT64_C(0x1122334455667788)};
    assert_int_equal(read_options(&half, &o, NULL), DP_OK);
    uint32_t low, high;
    memcpy(&low, &o.first, 4);
    memcpy(&high, (const char *)&o.first + 4, 4);
    assert_int_equal(memcmp(&low, &half.first, 4), 0);
    assert_int_equal(high, 0);
}

static void test_capi_options_of_this_version_and_none(void **state)
{
    (void)state;
    const struct now given = {.size = sizeof given, .first = 1, .second = 2};
    struct now o;
    assert_int_equal(read_options(&given, &o, NULL), DP_OK);
    assert_memory_equal(&o, &given, sizeof o);
    assert_int_equal(read_options(NULL, &o, NULL), DP_OK);
    assert_int_equal(o.first, 0);
    assert_int_equal(o.second, 0);
}

static void test_capi_options_of_a_newer_program_must_not_use_new_fields(void **state)
{
    (void)state;
    struct newer given = {.size = sizeof given, .first = 1, .second = 2};
    struct dp_error error;
    struct now o;
    assert_int_equal(read_options(&given, &o, &error), DP_OK);
    assert_int_equal(o.second, 2);
    for (size_t byte = 0; byte < sizeof given.third; byte++) {
        memset(&given.third, 0, sizeof given.third);
        ((unsigned char *)&given.third)[byte] = 1;
        assert_int_equal(read_options(&given, &o, &error), DP_INVALID);
        assert_int_equal(o.second,
                         2); /* known fields are there, so that dp_index_open can free a reader's context */
    }
    assert_non_null(strstr(error.message, "dp_test: struct now has 32 bytes"));
    assert_non_null(strstr(error.message, dp_version()));
}

static void test_capi_options_without_a_size_are_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, sizeof(size_t) - 1, CAPI_STRUCT_MAX + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct now given = {.size = sizes[i], .first = 1, .second = 2};
        struct dp_error error;
        struct now o;
        char says[64];
        snprintf(says, sizeof says, "the size in struct now is %zu", sizes[i]);
        assert_int_equal(read_options(&given, &o, &error), DP_INVALID);
        assert_non_null(strstr(error.message, says));
        assert_int_equal(o.first, 0);
        assert_int_equal(capi_answer_check(&error, "dp_test", "struct now", &given), DP_INVALID);
    }
}

static void test_capi_answers_fit_older_and_newer_programs(void **state)
{
    (void)state;
    const struct now answer = {.size = 99, .first = 7, .second = 8};
    struct {
        struct older summary;
        uint64_t behind;
    } old = {{.size = sizeof(struct older), .first = 5}, 42};
    capi_answer(&old.summary, &answer, sizeof answer);
    assert_int_equal(old.summary.size, sizeof(struct older));
    assert_int_equal(old.summary.first, 7);
    assert_int_equal(old.behind, 42); /* not part of the struct */
    struct newer larger = {.size = sizeof larger, .third = 9};
    capi_answer(&larger, &answer, sizeof answer);
    assert_int_equal(larger.size, sizeof larger);
    assert_int_equal(larger.second, 8);
    assert_int_equal(larger.third, 0); /* this version does not know the field */
}

/* Every function checks the size of its structs before it does anything else. */
static void test_capi_functions_refuse_structs_without_a_size(void **state)
{
    (void)state;
    const struct dp_runtime_options runtime_options = {.threads = 1};
    const struct dp_index_build_options build = {.nlist = 1};
    const struct dp_index_options open = {.n_clusters = 1};
    const struct dp_namespace_options namespace_options = {.limits = {.timeout_ms = 1}};
    const float vector = 1;
    struct dp_runtime *runtime;
    struct dp_namespace *ns;
    struct dp_index *index;
    struct dp_error error;
    assert_int_equal(dp_runtime_new(&runtime_options, &runtime, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "sizeof(struct dp_runtime_options)"));
    assert_null(runtime);
    assert_int_equal(dp_index_open("/nowhere", &open, &index, &error), DP_INVALID);
    assert_null(index);
    assert_int_equal(dp_namespace_open("/nowhere", "n", &namespace_options, &ns, &error), DP_INVALID);
    assert_null(ns);
    assert_int_equal(dp_index_build(NULL, &vector, 1, 1, NULL, "/nowhere/x", &build, &error), DP_INVALID);
    assert_int_equal(dp_index_build_file(NULL, "/nowhere", NULL, "/nowhere/x", &build, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "dp_index_build_file: the size in struct dp_index_build_options is 0"));
    assert_int_equal(dp_index_open(test_data_path("faiss/sq8-ip-d48.ivf"), NULL, &index, &error), DP_OK);
    struct dp_index_info info = {.dim = 1};
    assert_int_equal(dp_index_info(index, &info, &error), DP_INVALID);
    const struct dp_index_search_options search = {.nprobe = 1};
    int64_t id;
    float distance;
    assert_int_equal(dp_index_search(index, &vector, 1, 1, 1, &search, &id, &distance, NULL, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "struct dp_index_search_options"));
    dp_index_close(index);
}

/* The header's macros are written by hand; meson.build has the version. */
static void test_capi_version_is_the_builds(void **state)
{
    (void)state;
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", DP_VERSION_MAJOR, DP_VERSION_MINOR, DP_VERSION_PATCH);
    assert_string_equal(dp_version(), text);
    assert_int_equal(dp_version_number(), DP_VERSION_NUMBER);
    assert_int_equal(DP_VERSION_NUMBER, DP_VERSION_MAJOR * 10000 + DP_VERSION_MINOR * 100 + DP_VERSION_PATCH);
    assert_true(DP_VERSION_MINOR < 100 && DP_VERSION_PATCH < 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capi_options_of_an_older_program_end_in_zeros),
        cmocka_unit_test(test_capi_options_of_this_version_and_none),
        cmocka_unit_test(test_capi_options_of_a_newer_program_must_not_use_new_fields),
        cmocka_unit_test(test_capi_options_without_a_size_are_refused),
        cmocka_unit_test(test_capi_answers_fit_older_and_newer_programs),
        cmocka_unit_test(test_capi_functions_refuse_structs_without_a_size),
        cmocka_unit_test(test_capi_version_is_the_builds),
    };
    return test_run(tests);
}
