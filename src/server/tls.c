/* tls.c: reads certificates and keys with GnuTLS, and counts their holders. libmicrohttpd speaks TLS itself. */
#include "server/tls.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "os/file.h"

enum { CHAIN_MAX = 16, PEM_MAX = 1 << 20 };

struct tls_identity {
    _Atomic unsigned holders;
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned length;
    gnutls_privkey_t key;
};

struct tls {
    const char *certificate_file, *key_file; /* they outlive the server */
    struct {
        pthread_mutex_t lock;
        struct tls_identity *current;
    } locked;
};

void tls_give(struct tls_identity *identity)
{
    if (!identity || atomic_fetch_sub(&identity->holders, 1) != 1)
        return;
    for (unsigned i = 0; i < identity->length; i++)
        gnutls_pcert_deinit(&identity->chain[i]);
    if (identity->key)
        gnutls_privkey_deinit(identity->key);
    mem_free(identity);
}

/* Returns whether the key is the certificate's, or why not. */
static int check_pair(const gnutls_datum_t *certificate, const gnutls_datum_t *key)
{
    gnutls_certificate_credentials_t both;
    int code = gnutls_certificate_allocate_credentials(&both);
    if (code < 0)
        return code;
    code = gnutls_certificate_set_x509_key_mem2(both, certificate, key, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_certificate_free_credentials(both);
    return code < 0 ? code : 0;
}

/* Parses both files into the identity. Returns GnuTLS's code. */
static int parse_identity(struct tls_identity *out, struct buffer *certificate, struct buffer *key)
{
    gnutls_datum_t chain = {certificate->data, (unsigned)certificate->len};
    gnutls_datum_t secret = {key->data, (unsigned)key->len};
    unsigned length = CHAIN_MAX;
    int code = check_pair(&chain, &secret);
    if (code == 0)
        code = gnutls_pcert_list_import_x509_raw(out->chain, &length, &chain, GNUTLS_X509_FMT_PEM, 0);
    if (code < 0)
        return code;
    out->length = length;
    code = gnutls_privkey_init(&out->key);
    return code < 0 ? code : gnutls_privkey_import_x509_raw(out->key, &secret, GNUTLS_X509_FMT_PEM, NULL, 0);
}

static enum dp_status read_identity(const struct tls *tls, struct tls_identity **out, struct dp_error *error)
{
    struct buffer certificate, key;
    struct tls_identity *made = mem_calloc(1, sizeof *made);
    *out = NULL;
    if (!made)
        return dp_fail_nomem(error, "a certificate");
    atomic_init(&made->holders, 1);
    buffer_init(&certificate, PEM_MAX);
    buffer_init(&key, PEM_MAX);
    enum dp_status status = os_read_file(tls->certificate_file, &certificate, error);
    if (status == DP_OK)
        status = os_read_file(tls->key_file, &key, error);
    if (status == DP_OK) {
        const int code = parse_identity(made, &certificate, &key);
        if (code < 0)
            status = dp_fail(error, code == GNUTLS_E_MEMORY_ERROR ? DP_NOMEM : DP_INVALID,
                             "cannot use the certificate %s with the key %s: %s", tls->certificate_file,
                             tls->key_file, gnutls_strerror(code));
    }
    if (key.data)
        gnutls_memset(key.data, 0, key.cap);
    buffer_deinit(&certificate);
    buffer_deinit(&key);
    if (status != DP_OK)
        tls_give(made);
    else
        *out = made;
    return status;
}

enum dp_status tls_new(const char *certificate, const char *key, struct tls **out, struct dp_error *error)
{
    struct tls *tls = mem_calloc(1, sizeof *tls);
    *out = NULL;
    if (!tls)
        return dp_fail_nomem(error, "TLS");
    tls->certificate_file = certificate;
    tls->key_file = key;
    pthread_mutex_init(&tls->locked.lock, NULL);
    enum dp_status status = read_identity(tls, &tls->locked.current, error);
    if (status == DP_OK)
        *out = tls;
    else
        tls_free(tls);
    return status;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    tls_give(tls->locked.current);
    pthread_mutex_destroy(&tls->locked.lock);
    mem_free(tls);
}

enum dp_status tls_reload(struct tls *tls, struct dp_error *error)
{
    struct tls_identity *made;
    enum dp_status status = read_identity(tls, &made, error);
    if (status != DP_OK)
        return status;
    pthread_mutex_lock(&tls->locked.lock);
    struct tls_identity *former = tls->locked.current;
    tls->locked.current = made;
    pthread_mutex_unlock(&tls->locked.lock);
    tls_give(former);
    return DP_OK;
}

struct tls_identity *tls_take(struct tls *tls)
{
    pthread_mutex_lock(&tls->locked.lock);
    struct tls_identity *identity = tls->locked.current;
    atomic_fetch_add(&identity->holders, 1);
    pthread_mutex_unlock(&tls->locked.lock);
    return identity;
}

void tls_parts(struct tls_identity *identity, gnutls_pcert_st **chain, unsigned *length, gnutls_privkey_t *key)
{
    *chain = identity->chain;
    *length = identity->length;
    *key = identity->key;
}
