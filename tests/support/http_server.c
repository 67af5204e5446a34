/* http_server.c: the scripted HTTP server. See http_server.h. */
#include "http_objects.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 64 << 10, BODY_MAX = 256 << 20, PATH_MAX_BYTES = 8192, DRIP_MS = 20 };

struct url {
    struct url *next;
    char text[600];
};

struct act {
    struct act *next;
    struct http_act what;
    unsigned left;
};

struct connection {
    struct connection *next;
    struct http_server *server;
    pthread_t thread;
    int fd;
    unsigned number;
    SSL *ssl;
};

struct http_server {
    struct http_server_options options;
    int listener;
    uint16_t port;
    pthread_t thread;
    int stop[2]; /* a pipe; its reading end becomes readable when the server stops */
    SSL_CTX *tls;
    char certificate[64];

    pthread_mutex_t lock; /* guards the fields below */
    pthread_cond_t gate_opens;
    bool stopping;
    struct connection *connections;
    struct http_objects objects;
    struct act *acts;
    struct late *late;
    struct http_seen *seen;
    unsigned count, capacity, accepted;
    unsigned gate, waiting;
    struct url *urls;
};

/* A request being answered. */
struct exchange {
    struct connection *c;
    char head[HEAD_MAX + 1];
    uint8_t *body;
    size_t body_len;
    char method[8];
    char path[PATH_MAX_BYTES], query[PATH_MAX_BYTES]; /* the target's parts */
};

/* A write that the server carries out after a later request. */
struct late {
    struct late *next;
    struct exchange what;
};

/* ---- bytes ------------------------------------------------------------------------------------------ */

static ssize_t receive(struct connection *c, void *to, size_t len)
{
    return c->ssl ? SSL_read(c->ssl, to, (int)len) : recv(c->fd, to, len, 0);
}

/* Sends all bytes. Returns false when the client has gone. */
static bool transmit(struct connection *c, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len) {
        ssize_t n = c->ssl ? SSL_write(c->ssl, at, (int)len) : send(c->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool transmit_text(struct connection *c, const char *text)
{
    return transmit(c, text, strlen(text));
}

/* Waits until the client closes, the server stops, or `ms` have passed (-1: for ever). Returns true in the last
 * case. */
static bool wait_ms(struct connection *c, int ms)
{
    struct pollfd fds[2] = {{.fd = c->fd, .events = POLLIN | POLLRDHUP},
                            {.fd = c->server->stop[0], .events = POLLIN}};
    return poll(fds, 2, ms) == 0;
}

/* ---- serving ---------------------------------------------------------------------------------------- */

static bool answer_status(struct connection *c, int code, const char *lines, const char *text, bool bodiless)
{
    char head[4096];
    snprintf(head, sizeof head, "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n%s\r\n", code, strlen(text),
             lines);
    return transmit_text(c, head) && (bodiless || transmit_text(c, text));
}

/* Makes closing the connection reset it. */
static void reset(struct connection *c)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* Sends the body of an answer as the act says. Returns true when the connection may be used again. */
static bool transmit_body(struct connection *c, const struct http_act *act, const uint8_t *body, size_t len)
{
    size_t at = act->at < len ? act->at : len;
    switch (act->kind) {
    case HTTP_ACT_RESET: {
        transmit(c, body, at);
        /* Waits until the sent bytes have arrived, because the reset overtakes them. */
        for (int left = 1; left > 0;) {
            struct tcp_info info;
            socklen_t size = sizeof info;
            if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || !wait_ms(c, 1))
                break;
            left = (int)info.tcpi_unacked;
        }
        wait_ms(c, DRIP_MS); /* lets the client read them */
        reset(c);
        return false;
    }
    case HTTP_ACT_TRUNCATE: transmit(c, body, at); return false;
    case HTTP_ACT_MUTE:
        transmit(c, body, at);
        wait_ms(c, -1);
        return false;
    case HTTP_ACT_DRIP:
        transmit(c, body, at);
        while (at < len && wait_ms(c, DRIP_MS) && transmit(c, body + at, 1))
            at++;
        return false;
    case HTTP_ACT_CHUNKED: {
        char size[32];
        for (size_t done = 0, piece; done < len; done += piece) {
            piece = len - done < 7000 ? len - done : 7000;
            snprintf(size, sizeof size, "%zx\r\n", piece);
            if (!transmit_text(c, size) || !transmit(c, body + done, piece) || !transmit_text(c, "\r\n"))
                return false;
        }
        return transmit_text(c, "0\r\n\r\n");
    }
    default: return transmit(c, body, len);
    }
}

static const struct http_dialect *dialect_of(const struct http_server *s)
{
    return s->options.dialect ? s->options.dialect : &HTTP_PLAIN;
}

static struct http_request request_of(const struct exchange *e, const struct http_act *act)
{
    return (struct http_request){.method = e->method,
                                 .head = e->head,
                                 .path = e->path,
                                 .query = e->query,
                                 .body = span_of(e->body, e->body_len),
                                 .act = act};
}

static void name_of(const struct exchange *e, char out[HTTP_NAME_MAX])
{
    const struct http_act serve = {.kind = HTTP_ACT_SERVE};
    const struct http_request request = request_of(e, &serve);
    dialect_of(e->c->server)->name(&request, out);
}

/* Keeps a write for later. */
static void put_off(const struct exchange *e)
{
    struct late *l = calloc(1, sizeof *l);
    assert(l);
    l->what = *e;
    l->what.body = malloc(e->body_len ? e->body_len : 1);
    assert(l->what.body);
    memcpy(l->what.body, e->body, e->body_len);
    l->next = e->c->server->late;
    e->c->server->late = l;
}

/* Carries out the late writes to the object of `e`. e NULL: forgets all late writes. */
static void catch_up(struct http_server *s, const struct exchange *e)
{
    const struct http_act serve = {.kind = HTTP_ACT_SERVE};
    char name[HTTP_NAME_MAX], wanted[HTTP_NAME_MAX];
    if (e)
        name_of(e, wanted);
    for (struct late **at = &s->late; *at;) {
        struct late *l = *at;
        l->what.c = e ? e->c : NULL;
        if (e) {
            name_of(&l->what, name);
            if (strcmp(name, wanted) != 0) {
                at = &l->next;
                continue;
            }
            struct http_answer unheard = {0};
            const struct http_request request = request_of(&l->what, &serve);
            dialect_of(s)->answer(&s->objects, &request, &unheard);
            free(unheard.lines);
            free(unheard.body);
        }
        *at = l->next;
        free(l->what.body);
        free(l);
    }
}

/* Gives the object of a request a new content of equal length. */
static void change(struct exchange *e)
{
    struct http_objects *all = &e->c->server->objects;
    char name[HTTP_NAME_MAX];
    name_of(e, name);
    const struct http_object *o = http_objects_find(all, name);
    uint8_t *other = o ? malloc(o->len + 1) : NULL;
    if (!other)
        return;
    memset(other, 'C', o->len);
    http_objects_put(all, name, span_of(other, o->len));
    free(other);
}

/* Carries out a request, now or later, as the act says. */
static void carry_out(struct exchange *e, const struct http_act *act, bool writes, struct http_answer *answer)
{
    struct http_server *s = e->c->server;
    const struct http_request request = request_of(e, act);
    pthread_mutex_lock(&s->lock);
    if (act->kind == HTTP_ACT_CHANGE)
        change(e);
    if (!writes || act->kind != HTTP_ACT_LATE)
        dialect_of(s)->answer(&s->objects, &request, answer);
    if (writes && (act->kind == HTTP_ACT_LATE || act->kind == HTTP_ACT_TWICE))
        put_off(e);
    else if (writes)
        catch_up(s, e);
    pthread_mutex_unlock(&s->lock);
}

static bool transmit_answer(struct connection *c, const struct http_act *act, const struct http_answer *answer,
                            bool head_only)
{
    char head[128], length[64];
    bool chunked = act->kind == HTTP_ACT_CHUNKED && answer->code / 100 == 2;
    snprintf(length, sizeof length, chunked ? "Transfer-Encoding: chunked" : "Content-Length: %zu",
             answer->body_len);
    snprintf(head, sizeof head, "HTTP/1.1 %d Scripted\r\n%s\r\n", answer->code,
             answer->code == 204 ? "X-Empty: yes" : length);
    return transmit_text(c, head) && transmit_text(c, answer->lines ? answer->lines : "") &&
           transmit_text(c, "\r\n") &&
           (head_only || transmit_body(c, act, (const uint8_t *)answer->body, answer->body_len));
}

/* Has the dialect answer, and sends its answer as the act says. */
static bool serve_store(struct exchange *e, const struct http_act *act, bool head_only)
{
    bool writes = !head_only && strcmp(e->method, "GET") != 0;
    struct http_answer answer = {0};
    bool kept = false;
    bool late = act->kind == HTTP_ACT_LATE || act->kind == HTTP_ACT_TWICE;
    bool silent = act->kind == HTTP_ACT_LOSE || late ||
                  (writes && (act->kind == HTTP_ACT_RESET || act->kind == HTTP_ACT_MUTE));
    if (writes || !silent)
        carry_out(e, act, writes, &answer);
    if (writes && act->kind == HTTP_ACT_RESET)
        reset(e->c);
    if (writes && act->kind == HTTP_ACT_MUTE)
        wait_ms(e->c, -1);
    if (!silent)
        kept = transmit_answer(e->c, act, &answer, head_only);
    free(answer.lines);
    free(answer.body);
    return kept;
}

/* Answers as Amazon answers a slow request: blanks first, then the body. */
static bool answer_slowly(struct connection *c, const struct http_act *act)
{
    char head[256];
    snprintf(head, sizeof head, "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n\r\n", act->code,
             act->at + strlen(act->text));
    bool there = transmit_text(c, head);
    for (size_t i = 0; i < act->at && there; i++)
        there = wait_ms(c, DRIP_MS) && transmit_text(c, " ");
    return there && transmit_text(c, act->text);
}

static bool transmit_for_ever(struct connection *c, const char *head, const char *piece)
{
    bool there = transmit_text(c, head);
    while (there)
        there = transmit_text(c, piece);
    return false;
}

static bool transmit_chunks_for_ever(struct connection *c)
{
    char piece[4 + 2 + 0x1000 + 2 + 1];
    snprintf(piece, sizeof piece, "1000\r\n%0*d\r\n", 0x1000, 0);
    return transmit_for_ever(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", piece);
}

static bool serve(struct exchange *e, const struct http_act *act)
{
    struct connection *c = e->c;
    bool head_only = strcmp(e->method, "HEAD") == 0;
    switch (act->kind) {
    case HTTP_ACT_STATUS:
    case HTTP_ACT_REFUSE:
        pthread_mutex_lock(&c->server->lock);
        catch_up(c->server, e);
        pthread_mutex_unlock(&c->server->lock);
        return answer_status(c, act->code, act->lines ? act->lines : "", act->text ? act->text : "", head_only) &&
               act->kind == HTTP_ACT_STATUS;
    case HTTP_ACT_SLOW: return answer_slowly(c, act);
    case HTTP_ACT_DROP: return false;
    case HTTP_ACT_RAW: transmit_text(c, act->text); return false;
    case HTTP_ACT_SILENT: wait_ms(c, -1); return false;
    case HTTP_ACT_ENDLESS: return transmit_chunks_for_ever(c);
    case HTTP_ACT_HUGE_HEAD:
        return transmit_for_ever(
            c, "HTTP/1.1 200 OK\r\n",
            "X-Filler: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n");
    default: break;
    }
    return serve_store(e, act, head_only);
}

/* ---- connections ------------------------------------------------------------------------------------ */

/* Returns the act that the request will get; *NULL if there is none. The caller holds the lock. */
static struct act **find_act(struct http_server *s, const struct exchange *e)
{
    struct act **at = &s->acts;
    while (*at && (*at)->what.match && !strstr(e->head, (*at)->what.match))
        at = &(*at)->next;
    return at;
}

/* Returns whether the server refuses the request without its body. */
static bool refuses_body(struct exchange *e)
{
    struct http_server *s = e->c->server;
    pthread_mutex_lock(&s->lock);
    struct act *act = *find_act(s, e);
    bool refuses = act && act->what.kind == HTTP_ACT_REFUSE;
    pthread_mutex_unlock(&s->lock);
    return refuses;
}

/* Reads one request. Returns false when the client has gone. */
static bool read_request(struct exchange *e)
{
    size_t len = 0;
    const char *end = NULL;
    while (!end) {
        ssize_t n = len < HEAD_MAX ? receive(e->c, e->head + len, HEAD_MAX - len) : 0;
        if (n <= 0)
            return false;
        len += (size_t)n;
        e->head[len] = '\0';
        end = strstr(e->head, "\r\n\r\n");
    }
    size_t head_len = (size_t)(end - e->head) + 4, have = len - head_len;
    const struct http_request request = {.head = e->head};
    char value[32];
    char extra[HEAD_MAX];
    memcpy(extra, e->head + head_len, have);
    e->head[head_len] = '\0';
    e->body_len = http_request_header(&request, "content-length", value, sizeof value)
                      ? (size_t)strtoull(value, NULL, 10)
                      : 0;
    assert(e->body_len <= BODY_MAX && have <= e->body_len);
    e->body = malloc(e->body_len ? e->body_len : 1);
    assert(e->body);
    memcpy(e->body, extra, have);
    if (have < e->body_len && http_request_header(&request, "expect", value, sizeof value)) {
        if (refuses_body(e))
            e->body_len = have;
        else if (!transmit_text(e->c, "HTTP/1.1 100 Continue\r\n\r\n"))
            return false;
    }
    while (have < e->body_len) {
        ssize_t n = receive(e->c, e->body + have, e->body_len - have);
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    e->query[0] = '\0';
    return sscanf(e->head, "%7s %8191[^ ?]?%8191[^ ]", e->method, e->path, e->query) >= 2;
}

/* Records the request, takes its act, and waits at the gate. */
static struct http_act enter(struct exchange *e)
{
    struct http_server *s = e->c->server;
    struct http_act act = {.kind = HTTP_ACT_SERVE};
    pthread_mutex_lock(&s->lock);
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 64;
        s->seen = realloc(s->seen, s->capacity * sizeof *s->seen);
        assert(s->seen);
    }
    struct http_seen *seen = &s->seen[s->count++];
    *seen = (struct http_seen){.body_len = e->body_len, .connection = e->c->number};
    snprintf(seen->method, sizeof seen->method, "%s", e->method);
    sscanf(e->head, "%*s %511s", seen->target);
    size_t shown = e->body_len < sizeof seen->body ? e->body_len : sizeof seen->body - 1;
    memcpy(seen->body, e->body, shown); /* the rest is zero */
    snprintf(seen->head, sizeof seen->head, "%.*s", (int)sizeof seen->head - 1, e->head);
    struct act **at = find_act(s, e), *a = *at;
    if (a) {
        act = a->what;
        if (--a->left == 0) {
            *at = a->next;
            free(a);
        }
    }
    if (s->gate) {
        if (++s->waiting >= s->gate) {
            s->gate = 0;
            pthread_cond_broadcast(&s->gate_opens);
        }
        while (s->gate && !s->stopping)
            pthread_cond_wait(&s->gate_opens, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return act;
}

static void *serve_connection(void *context)
{
    struct connection *c = context;
    struct exchange *e = calloc(1, sizeof *e);
    assert(e);
    e->c = c;
    bool kept = true;
    if (c->server->tls) {
        c->ssl = SSL_new(c->server->tls);
        assert(c->ssl);
        SSL_set_fd(c->ssl, c->fd);
        kept = SSL_accept(c->ssl) == 1;
    }
    while (kept && read_request(e)) {
        struct http_act act = enter(e);
        kept = serve(e, &act);
        free(e->body);
        e->body = NULL;
    }
    free(e->body);
    free(e);
    SSL_free(c->ssl);
    pthread_mutex_lock(&c->server->lock);
    close(c->fd);
    c->fd = -1;
    pthread_mutex_unlock(&c->server->lock);
    return NULL;
}

static void *accept_connections(void *context)
{
    struct http_server *s = context;
    for (;;) {
        struct pollfd fds[2] = {{.fd = s->listener, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents)
            return NULL;
        int fd = fds[0].revents ? accept(s->listener, NULL, NULL) : -1;
        if (fd < 0)
            continue;
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = calloc(1, sizeof *c);
        assert(c);
        c->server = s;
        c->fd = fd;
        pthread_mutex_lock(&s->lock);
        c->number = ++s->accepted;
        c->next = s->connections;
        s->connections = c;
        int failed = pthread_create(&c->thread, NULL, serve_connection, c);
        assert(!failed);
        (void)failed;
        pthread_mutex_unlock(&s->lock);
    }
}

/* ---- TLS -------------------------------------------------------------------------------------------- */

static void open_tls(struct http_server *s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    assert(key && cert);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"localhost",
                               -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_EXTENSION *authority = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    assert(names && authority);
    X509_add_ext(cert, names, -1);
    X509_add_ext(cert, authority, -1);
    X509_EXTENSION_free(names);
    X509_EXTENSION_free(authority);
    int signed_len = X509_sign(cert, key, EVP_sha256());
    assert(signed_len);
    snprintf(s->certificate, sizeof s->certificate, "/tmp/dipper-cert-XXXXXX");
    int fd = mkstemp(s->certificate);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    assert(out);
    PEM_write_X509(out, cert);
    fclose(out);
    s->tls = SSL_CTX_new(TLS_server_method());
    assert(s->tls);
    int used = SSL_CTX_use_certificate(s->tls, cert) == 1 && SSL_CTX_use_PrivateKey(s->tls, key) == 1;
    assert(used);
    (void)signed_len, (void)used;
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* ---- the test's side -------------------------------------------------------------------------------- */

struct http_server *http_server_start(const struct http_server_options *options)
{
    struct http_server *s = calloc(1, sizeof *s);
    assert(s);
    if (options)
        s->options = *options;
    s->objects.options = s->options;
    if (s->options.tls)
        open_tls(s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->gate_opens, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int on = 1;
    address.sin_port = htons(s->options.port);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = s->listener < 0 || setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
                 bind(s->listener, (struct sockaddr *)&address, size) != 0 || listen(s->listener, 512) != 0 ||
                 getsockname(s->listener, (struct sockaddr *)&address, &size) != 0 || pipe(s->stop) != 0;
    assert(!failed);
    s->port = ntohs(address.sin_port);
    failed = pthread_create(&s->thread, NULL, accept_connections, s);
    assert(!failed);
    (void)failed;
    return s;
}

void http_server_stop(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->gate_opens);
    pthread_mutex_unlock(&s->lock);
    ssize_t told = write(s->stop[1], "x", 1);
    assert(told == 1);
    (void)told;
    pthread_join(s->thread, NULL);
    for (struct connection *c = s->connections, *next; c; c = next) {
        next = c->next;
        pthread_mutex_lock(&s->lock);
        if (c->fd >= 0)
            shutdown(c->fd, SHUT_RDWR);
        pthread_mutex_unlock(&s->lock);
        pthread_join(c->thread, NULL);
        free(c);
    }
    http_server_reset(s);
    http_objects_clear(&s->objects);
    while (s->urls) {
        struct url *url = s->urls;
        s->urls = url->next;
        free(url);
    }
    close(s->listener);
    close(s->stop[0]);
    close(s->stop[1]);
    SSL_CTX_free(s->tls);
    if (s->options.tls)
        unlink(s->certificate);
    pthread_cond_destroy(&s->gate_opens);
    pthread_mutex_destroy(&s->lock);
    free(s->seen);
    free(s);
}

const char *http_server_url(struct http_server *s, const char *path)
{
    struct url *fresh = calloc(1, sizeof *fresh);
    assert(fresh);
    snprintf(fresh->text, sizeof fresh->text, "http%s://127.0.0.1:%u%s", s->options.tls ? "s" : "", s->port, path);
    pthread_mutex_lock(&s->lock);
    struct url *known = s->urls;
    while (known && strcmp(known->text, fresh->text) != 0)
        known = known->next;
    if (known) {
        free(fresh);
    } else {
        known = fresh;
        known->next = s->urls;
        s->urls = known;
    }
    pthread_mutex_unlock(&s->lock);
    return known->text;
}

const char *http_server_certificate(struct http_server *s)
{
    return s->certificate;
}

void http_server_put(struct http_server *s, const char *path, struct span body)
{
    pthread_mutex_lock(&s->lock);
    http_objects_put(&s->objects, path, body);
    pthread_mutex_unlock(&s->lock);
}

const char *http_server_etag(struct http_server *s, const char *path)
{
    pthread_mutex_lock(&s->lock);
    const struct http_object *o = http_objects_find(&s->objects, path);
    const char *etag = o ? o->etag : "";
    pthread_mutex_unlock(&s->lock);
    return etag;
}

bool http_server_has(struct http_server *s, const char *path)
{
    return *http_server_etag(s, path) != '\0';
}

void http_server_script(struct http_server *s, struct http_act act)
{
    struct act *a = calloc(1, sizeof *a);
    assert(a);
    a->what = act;
    a->left = act.times ? act.times : 1;
    pthread_mutex_lock(&s->lock);
    struct act **at = &s->acts;
    while (*at)
        at = &(*at)->next;
    *at = a;
    pthread_mutex_unlock(&s->lock);
}

size_t http_server_unused(struct http_server *s)
{
    size_t unused = 0;
    pthread_mutex_lock(&s->lock);
    for (const struct act *a = s->acts; a; a = a->next)
        unused += a->left;
    pthread_mutex_unlock(&s->lock);
    return unused;
}

void http_server_gate(struct http_server *s, unsigned n)
{
    pthread_mutex_lock(&s->lock);
    s->gate = n;
    s->waiting = 0;
    pthread_mutex_unlock(&s->lock);
}

static unsigned read_number(struct http_server *s, const unsigned *from)
{
    pthread_mutex_lock(&s->lock);
    unsigned value = *from;
    pthread_mutex_unlock(&s->lock);
    return value;
}

unsigned http_server_count(struct http_server *s)
{
    return read_number(s, &s->count);
}

unsigned http_server_connections(struct http_server *s)
{
    return read_number(s, &s->accepted);
}

struct http_seen http_server_seen(struct http_server *s, unsigned i)
{
    pthread_mutex_lock(&s->lock);
    assert(i < s->count);
    struct http_seen seen = s->seen[i];
    pthread_mutex_unlock(&s->lock);
    return seen;
}

void http_server_reset(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->count = 0;
    catch_up(s, NULL);
    while (s->acts) {
        struct act *a = s->acts;
        s->acts = a->next;
        free(a);
    }
    pthread_mutex_unlock(&s->lock);
}
