/* test_trust.c: the certificates that https requests trust, from the settings or from the system. */
#include "test_support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "store/trust.h"

static const char PEM[] = "# Test CA\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/* Writes a file below `root`, and makes its folders. Returns its path, in one of four static buffers. */
static const char *file_at(const char *root, const char *name, const char *text)
{
    static char paths[4][4096];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    struct dp_error error;
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (os_make_dirs(path, &error) != DP_OK)
        fail_msg("%s", error.message);
    *slash = '/';
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    return path;
}

static void expect_refused(const struct trust_settings *settings, const char *says, const char *from)
{
    struct trust t;
    trust_find(settings, &t);
    assert_int_equal(t.status, DP_INVALID);
    if (!strstr(t.error.message, says) || !strstr(t.error.message, from))
        fail_msg("\"%s\" does not contain \"%s\" and \"%s\"", t.error.message, says, from);
}

static void test_store_trust_order(void **state)
{
    (void)state;
    struct trust t;
    const char *root = test_tmpdir(), *file = file_at(root, "own.pem", PEM);
    const char *profile = file_at(root, "profile.pem", PEM), *other = file_at(root, "other.pem", PEM);
    struct trust_settings s = {.file = file,
                               .file_from = "AWS_CA_BUNDLE",
                               .profile_file = profile,
                               .profile_from = "ca_bundle",
                               .other_file = other,
                               .other_from = "SSL_CERT_FILE"};
    const char *const order[] = {file, profile, other};
    for (size_t i = 0; i < 3; i++) {
        trust_find(&s, &t);
        assert_int_equal(t.status, DP_OK);
        assert_true(t.named);
        assert_string_equal(t.file, order[i]);
        assert_string_equal(t.folders, ""); /* without the system's folders */
        *(i == 0 ? &s.file : i == 1 ? &s.profile_file : &s.other_file) = "";
    }
    trust_find(&s, &t); /* finds the certificates of the system that runs the test */
    assert_true(t.status == DP_OK || strstr(t.error.message, "ca-certificates"));
}

static void test_store_trust_says_what_is_wrong_with_a_file(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    char long_path[5000];
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    const char *const bad[][2] = {
        {"/nonexistent/ca.pem", "No such file"},
        {file_at(root, "empty.pem", ""), "holds no certificate"},
        {file_at(root, "key.pem", "-----BEGIN PRIVATE KEY-----\nMIIB\n"), "holds no certificate"},
        {root, "holds no certificate to trust: run `openssl rehash`"},
        {"/dev/null", "holds no certificate"},
        {long_path, "too long"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect_refused(&(struct trust_settings){.file = bad[i][0], .file_from = "AWS_CA_BUNDLE"}, bad[i][1],
                       "AWS_CA_BUNDLE");
        expect_refused(&(struct trust_settings){.profile_file = bad[i][0], .profile_from = "ca_bundle"}, bad[i][1],
                       "ca_bundle");
        /* Folders of certificates do not replace a bad file. */
        file_at(root, "hashed/5ed36f99.0", PEM);
        char folder[4096];
        snprintf(folder, sizeof folder, "%s/hashed", root);
        expect_refused(&(struct trust_settings){.other_file = bad[i][0],
                                                .other_from = "SSL_CERT_FILE",
                                                .folders = folder,
                                                .folders_from = "SSL_CERT_DIR"},
                       bad[i][1], "SSL_CERT_FILE");
    }
}

static void test_store_trust_finds_certificates_far_into_a_file(void **state)
{
    (void)state;
    struct trust t;
    const char *root = test_tmpdir();
    /* Puts the certificate across the end of the first chunk, at each position. */
    for (size_t before = 65536 - 40; before <= 65536; before++) {
        char *text = malloc(before + sizeof PEM);
        assert_non_null(text);
        memset(text, '#', before);
        memcpy(text + before, PEM, sizeof PEM);
        const char *path = file_at(root, "long.pem", text);
        free(text);
        trust_find(&(struct trust_settings){.file = path, .file_from = "--ca-file"}, &t);
        if (t.status != DP_OK)
            fail_msg("%zu bytes before: %s", before, t.error.message);
    }
}

static void test_store_trust_folders(void **state)
{
    (void)state;
    struct trust t;
    const char *root = test_tmpdir(), *file = file_at(root, "own.pem", PEM);
    char folder[4096], folders[8300];
    file_at(root, "hashed/5ed36f99.0", PEM);
    snprintf(folder, sizeof folder, "%s/hashed", root);
    /* A folder in place of the file, which Python's requests accepts too. */
    trust_find(&(struct trust_settings){.file = folder, .file_from = "AWS_CA_BUNDLE"}, &t);
    assert_int_equal(t.status, DP_OK);
    assert_string_equal(t.file, "");
    assert_string_equal(t.folders, folder);
    /* A file and two folders, one of which is usable. */
    snprintf(folders, sizeof folders, "/nonexistent:%s", folder);
    trust_find(&(struct trust_settings){.file = file, .file_from = "x", .folders = folders, .folders_from = "y"},
               &t);
    assert_int_equal(t.status, DP_OK);
    assert_string_equal(t.file, file);
    assert_string_equal(t.folders, folders);
    /* If there is a file, an unusable folder is no error. */
    trust_find(
        &(struct trust_settings){.file = file, .file_from = "x", .folders = "/nonexistent", .folders_from = "y"},
        &t);
    assert_int_equal(t.status, DP_OK);
    assert_string_equal(t.folders, "");
}

/* The places of certificates in the kinds of Linux. */
static void test_store_trust_knows_systems(void **state)
{
    (void)state;
    static const char *const files[] = {
        "etc/ssl/certs/ca-certificates.crt",
        "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "etc/pki/tls/certs/ca-bundle.crt",
        "var/lib/ca-certificates/ca-bundle.pem",
        "etc/ssl/ca-bundle.pem",
        "etc/ssl/certs/ca-bundle.crt",
        "etc/ssl/cert.pem",
    };
    static const char *const folders[] = {"etc/ssl/certs", "etc/pki/tls/certs", "var/lib/ca-certificates/openssl"};
    struct trust t = {.status = DP_OK};
    assert_false(trust_find_system(test_tmpdir(), &t));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *root = test_tmpdir(), *path = file_at(root, files[i], PEM);
        file_at(root, "etc/ssl/certs/ca-certificates.crt.old", "");
        assert_true(trust_find_system(root, &t));
        assert_string_equal(t.file, path);
        assert_true(t.named);
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        const char *root = test_tmpdir();
        char name[128], path[4096];
        snprintf(name, sizeof name, "%s/5ed36f99.0", folders[i]);
        file_at(root, name, PEM);
        snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        assert_true(trust_find_system(root, &t));
        assert_string_equal(t.folders, path);
        assert_string_equal(t.file, "");
    }
    /* An empty bundle is skipped. */
    const char *root = test_tmpdir(), *path;
    file_at(root, files[0], "");
    path = file_at(root, files[1], PEM);
    assert_true(trust_find_system(root, &t));
    assert_string_equal(t.file, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_trust_order),
        cmocka_unit_test(test_store_trust_says_what_is_wrong_with_a_file),
        cmocka_unit_test(test_store_trust_finds_certificates_far_into_a_file),
        cmocka_unit_test(test_store_trust_folders),
        cmocka_unit_test(test_store_trust_knows_systems),
    };
    return test_run(tests);
}
