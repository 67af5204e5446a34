/* test_tls.c: the server's certificate: what is read, refused and replaced, and what happens when memory runs out. */
#include "test_support.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "os/file.h"
#include "server/tls.h"

enum { PAIRS = 2, PATH_BYTES = 80, PEM_BYTES = 4096 };

static char folder[40], certificate[PAIRS][PATH_BYTES], key[PAIRS][PATH_BYTES];

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* Writes a key and its certificate, which the key itself has signed. */
static void make_pair(const char *certificate_file, const char *key_file)
{
    static const unsigned char serial = 1;
    unsigned char pem[PEM_BYTES];
    gnutls_x509_privkey_t made;
    gnutls_x509_crt_t crt;
    size_t len = sizeof pem;
    assert_int_equal(gnutls_x509_privkey_init(&made), 0);
    assert_int_equal(
        gnutls_x509_privkey_generate(made, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
        0);
    assert_int_equal(gnutls_x509_privkey_export(made, GNUTLS_X509_FMT_PEM, pem, &len), 0);
    write_file(key_file, pem, len);
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(crt, &serial, 1), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(crt, time(NULL) - 60), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600), 0);
    assert_int_equal(gnutls_x509_crt_set_key(crt, made), 0);
    assert_int_equal(gnutls_x509_crt_sign2(crt, crt, made, GNUTLS_DIG_SHA256, 0), 0);
    len = sizeof pem;
    assert_int_equal(gnutls_x509_crt_export(crt, GNUTLS_X509_FMT_PEM, pem, &len), 0);
    write_file(certificate_file, pem, len);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(made);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dipper-tls-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < PAIRS; i++) {
        snprintf(certificate[i], PATH_BYTES, "%s/%d.pem", folder, i);
        snprintf(key[i], PATH_BYTES, "%s/%d.key", folder, i);
        make_pair(certificate[i], key[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < PAIRS; i++) {
        unlink(certificate[i]);
        unlink(key[i]);
    }
    return rmdir(folder);
}

static void copy_file(const char *to, const char *from)
{
    struct buffer bytes;
    struct dp_error error;
    buffer_init(&bytes, PEM_BYTES);
    assert_int_equal(os_read_file(from, &bytes, &error), DP_OK);
    write_file(to, bytes.data, bytes.len);
    buffer_deinit(&bytes);
}

static void copy_pair(const char *certificate_file, const char *key_file, int i)
{
    copy_file(certificate_file, certificate[i]);
    copy_file(key_file, key[i]);
}

static void test_tls_a_connection_keeps_its_certificate(void **state)
{
    (void)state;
    char current[PATH_BYTES], secret[PATH_BYTES];
    struct dp_error error;
    struct tls *tls;
    gnutls_pcert_st *chain;
    gnutls_privkey_t private;
    unsigned length;
    snprintf(current, sizeof current, "%s/now.pem", folder);
    snprintf(secret, sizeof secret, "%s/now.key", folder);
    copy_pair(current, secret, 0);
    assert_int_equal(tls_new(current, secret, &tls, &error), DP_OK);
    struct tls_identity *before = tls_take(tls);
    tls_parts(before, &chain, &length, &private);
    assert_int_equal(length, 1);
    copy_pair(current, secret, 1);
    assert_int_equal(tls_reload(tls, &error), DP_OK);
    struct tls_identity *after = tls_take(tls);
    assert_ptr_not_equal(before, after);
    assert_int_equal(gnutls_privkey_get_pk_algorithm(private, NULL), GNUTLS_PK_ECDSA); /* still there */
    tls_give(before);
    write_file(current, "", 0); /* as an editor leaves a file for a moment */
    assert_int_equal(tls_reload(tls, &error), DP_INVALID);
    struct tls_identity *same = tls_take(tls);
    assert_ptr_equal(same, after);
    tls_give(same);
    tls_free(tls);
    tls_give(after); /* a connection may outlive the server's struct */
    unlink(current);
    unlink(secret);
}

static void test_tls_refuses_a_key_of_another_certificate(void **state)
{
    (void)state;
    struct dp_error error;
    struct tls *tls;
    assert_int_equal(tls_new(certificate[0], key[1], &tls, &error), DP_INVALID);
    assert_non_null(strstr(error.message, key[1]));
    assert_null(tls);
    assert_int_equal(tls_new(certificate[0], certificate[0], &tls, &error), DP_INVALID);
    assert_int_equal(tls_new("/nowhere/a.pem", key[0], &tls, &error), DP_NOT_FOUND);
}

static void test_tls_survives_failing_allocations(void **state)
{
    (void)state;
    const size_t live = test_alloc_live();
    struct dp_error error;
    struct tls *tls;
    for (size_t n = 1;; n = test_alloc_next(n)) {
        test_alloc_fail_at(n);
        const enum dp_status status = tls_new(certificate[0], key[0], &tls, &error);
        const bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
        assert_int_equal(test_alloc_live(), live);
    }
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct tls_identity *before = tls_take(tls);
        test_alloc_fail_at(n);
        const enum dp_status status = tls_reload(tls, &error);
        const bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        struct tls_identity *after = tls_take(tls);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        assert_true((before == after) == fired); /* the former one stays */
        tls_give(before);
        tls_give(after);
        if (!fired)
            break;
    }
    tls_free(tls);
    assert_int_equal(test_alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_a_connection_keeps_its_certificate),
        cmocka_unit_test(test_tls_refuses_a_key_of_another_certificate),
        cmocka_unit_test(test_tls_survives_failing_allocations),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down));
}
