/* contract_list.c: tests the promises of src/store/store.h about listings and keys. */
#include "contract_fixture.h"

#include <stdio.h>

/* ---- listing --------------------------------------------------------------------------------------------- */

static void test_store_list(void **state)
{
    struct fixture *f = *state;
    bool truncated;
    assert_string_equal(contract_list(f, "", "", false, 10, NULL), "");
    assert_string_equal(contract_list(f, "x/", "", true, 10, NULL), "");
    /* '-' and '.' sort before '/', 'b' after it: the order of keys is not the order of folders. */
    const char *const keys[] = {
        "a-b", "a/x", "a/y/1", "a/y/2", "a0", "b/z", "c", ".hidden", "\xc3\xa9/\xe4\xb8\xad"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        contract_must_put(f, keys[i], keys[i]);
    assert_string_equal(contract_list(f, "", "", false, 100, NULL),
                        ".hidden a-b a/x a/y/1 a/y/2 a0 b/z c \xc3\xa9/\xe4\xb8\xad");
    assert_string_equal(contract_list(f, "", "", true, 100, NULL), ".hidden a-b a/ a0 b/ c \xc3\xa9/");
    assert_string_equal(contract_list(f, "a", "", false, 100, NULL), "a-b a/x a/y/1 a/y/2 a0");
    assert_string_equal(contract_list(f, "a", "", true, 100, NULL), "a-b a/ a0");
    assert_string_equal(contract_list(f, "a/", "", true, 100, NULL), "a/x a/y/");
    assert_string_equal(contract_list(f, "a/y", "", false, 100, NULL), "a/y/1 a/y/2");
    assert_string_equal(contract_list(f, "a/y", "", true, 100, NULL), "a/y/");
    assert_string_equal(contract_list(f, "a/y/2", "", false, 100, NULL), "a/y/2");
    assert_string_equal(contract_list(f, "a/y/2/", "", false, 100, NULL), "");
    assert_string_equal(contract_list(f, "../", "", false, 100, NULL), "");
    assert_string_equal(contract_list(f, "/", "", false, 100, NULL), "");
    assert_string_equal(contract_list(f, "a//", "", true, 100, NULL), "");
    assert_string_equal(contract_list(f, "", "a/y/1", false, 100, NULL), "a/y/2 a0 b/z c \xc3\xa9/\xe4\xb8\xad");
    assert_string_equal(contract_list(f, "", "a/", false, 2, &truncated), "a/x a/y/1");
    assert_true(truncated);
    assert_string_equal(contract_list(f, "", "a/", true, 100, NULL), "a0 b/ c \xc3\xa9/");
    assert_string_equal(contract_list(f, "", "a/x", true, 100, NULL), "a0 b/ c \xc3\xa9/");
    assert_string_equal(contract_list(f, "a/", "a/x", true, 100, NULL), "a/y/");
    assert_string_equal(contract_list(f, "", "\xff", false, 1, NULL), "");
    assert_string_equal(contract_list(f, "", "", false, 0, &truncated), "");
    assert_true(truncated);
    assert_string_equal(contract_list(f, "", "", true, 7, &truncated), ".hidden a-b a/ a0 b/ c \xc3\xa9/");
    assert_false(truncated);
    assert_string_equal(contract_list(f, "", "", true, 6, &truncated), ".hidden a-b a/ a0 b/ c");
    assert_true(truncated);
}

static void test_store_list_in_pages(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 137 };
    for (size_t i = 0; i < COUNT; i++) {
        char key[32];
        snprintf(key, sizeof key, "p/%zu%s/%zu", i % 10, i % 3 ? "-" : "", i);
        contract_must_put(f, key, "x");
    }
    for (size_t page = 1; page < 40; page += 6) {
        uint8_t last[STORE_KEY_MAX];
        size_t last_len = 0, seen = 0;
        struct store_listing listing;
        do {
            assert_int_equal(
                store_list(&f->call, f->store, span_str("p/"), span_of(last, last_len), false, page, &listing),
                DP_OK);
            assert_true(listing.count <= page);
            for (size_t i = 0; i < listing.count; i++) {
                struct span key = listing.entries[i].key;
                assert_true(last_len == 0 || span_compare(span_of(last, last_len), key) < 0);
                assert_int_equal(listing.entries[i].size, 1);
                memcpy(last, key.data, key.len);
                last_len = key.len;
                seen++;
            }
        } while (listing.truncated);
        assert_int_equal(seen, COUNT);
    }
}

static void test_store_list_shows_no_empty_folders(void **state)
{
    struct fixture *f = *state;
    struct store_version none = {.len = 1, .token = "x"};
    contract_must_put(f, "a/b/c", "x");
    assert_int_equal(contract_put(f, "e/f/g", "x", STORE_IF_VERSION, &none, NULL), DP_CONFLICT);
    struct store_upload *upload;
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("u/v/w"), &upload), DP_OK);
    assert_string_equal(contract_list(f, "", "", true, 10, NULL), "a/");
    store_upload_abort(upload);
    assert_int_equal(store_remove(&f->call, f->store, span_str("a/b/c")), DP_OK);
    assert_string_equal(contract_list(f, "", "", true, 10, NULL), "");
    assert_string_equal(contract_list(f, "", "", false, 10, NULL), "");
}

/* ---- keys ------------------------------------------------------------------------------------------------ */

static void test_store_refuses_bad_keys(void **state)
{
    struct fixture *f = *state;
    static char long_key[STORE_KEY_MAX + 2], long_part[STORE_PART_MAX + 2];
    memset(long_part, 'p', sizeof long_part - 1);
    for (size_t i = 0; i < sizeof long_key - 1; i++)
        long_key[i] = i % 100 == 99 ? '/' : 'k';
    struct span const bad[] = {
        span_str(""),         span_str("/"),
        span_str("/a"),       span_str("a/"),
        span_str("a//b"),     span_str("."),
        span_str(".."),       span_str("../a"),
        span_str("a/../b"),   span_str("a/./b"),
        span_str("a/.."),     span_of("a\0b", 3),
        span_of("\0", 1),     span_str("a\nb"),
        span_str("a\x7f"),    span_str("\xff"),
        span_str("a\xc3"),    span_str(long_key),
        span_str(long_part),  span_str(".dipper/lock"),
        span_str(".dipper"),  span_str("\xed\xa0\x80"),
        span_str("\xc0\xaf"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct store_read_req reqs[2] = {{.key = bad[i], .len = STORE_TO_END},
                                         {.key = span_str("x"), .len = STORE_TO_END}};
        struct store_put put = {.key = bad[i], .body = span_str("x")};
        struct store_info info;
        struct store_upload *upload;
        assert_int_equal(store_read(&f->call, f->store, reqs, 2), DP_INVALID);
        assert_int_equal(reqs[1].status, DP_NOT_FOUND);
        assert_int_equal(store_put(&f->call, f->store, &put), DP_INVALID);
        assert_int_equal(store_head(&f->call, f->store, bad[i], &info), DP_INVALID);
        assert_int_equal(store_remove(&f->call, f->store, bad[i]), DP_INVALID);
        assert_int_equal(store_upload_begin(&f->call, f->store, bad[i], &upload), DP_INVALID);
        assert_null(upload);
    }
    assert_string_equal(contract_list(f, "", "", false, 10, NULL), "");
}

static void test_store_takes_good_keys(void **state)
{
    struct fixture *f = *state;
    static char longest[STORE_KEY_MAX + 1], part[STORE_PART_MAX + 1];
    memset(part, 'p', sizeof part - 1);
    const size_t most = contract_subject->longest_key ? contract_subject->longest_key : STORE_KEY_MAX;
    for (size_t i = 0; i < most; i++)
        longest[i] = i % 100 == 99 && i + 1 < most ? '/' : 'k';
    const char *const good[] = {"a",
                                ".a",
                                "...",
                                "..a/b..",
                                "a b",
                                "a+b",
                                "a%20b",
                                "a\\b",
                                "C:x",
                                "%2e%2e",
                                "~",
                                "-rf",
                                "*",
                                "\"'$(x)`",
                                "a.tmp",
                                ".dipperx/y",
                                "x/.dipper/z",
                                "lock/tmp",
                                "\xf0\x9f\x98\x80",
                                "a\xcc\x81",
                                "nul",
                                "con",
                                longest,
                                part};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        contract_must_put(f, good[i], good[i]);
        contract_expect_content(f, good[i], good[i]);
    }
    struct store_listing listing;
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 100, &listing), DP_OK);
    assert_int_equal(listing.count, sizeof good / sizeof *good);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(store_remove(&f->call, f->store, span_str(good[i])), DP_OK);
    assert_string_equal(contract_list(f, "", "", false, 100, NULL), "");
}

int contract_run_lists(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_CASE(test_store_list),
        CONTRACT_CASE(test_store_list_in_pages),
        CONTRACT_CASE(test_store_list_shows_no_empty_folders),
        CONTRACT_CASE(test_store_refuses_bad_keys),
        CONTRACT_CASE(test_store_takes_good_keys),
    };
    return cmocka_run_group_tests_name(contract_subject->name, tests, NULL, NULL);
}
