/* test_store.c: a store around another one. It records operations, and fails on command. */
#include "test_store.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/implement.h"

struct test_store {
    struct store base;
    struct store_ops ops; /* TEST_OPS, counting as inner does */
    struct store *inner;
    pthread_mutex_t lock; /* guards the fields below */
    struct test_store_counts counts;
    struct test_store_op *log;
    size_t log_count, log_capacity;
    size_t kill_in; /* number of writes until the one that kills; 0: not armed */
    bool killed;
    enum test_store_op_kind fail_kind;
    size_t fail_in; /* 0: not armed */
    enum dp_status fail_status;
    bool fail_landed;
    char fate_suffix[64];
    size_t fate_in; /* 0: not armed */
    enum test_store_fate fate;
    enum dp_status fate_status;
    struct late_put {
        bool is;
        char key[STORE_KEY_MAX + 1];
        uint8_t *body;
        size_t len;
        enum store_condition condition;
        struct store_version expected;
    } late;
    void (*hook)(void *ctx, const struct test_store_op *op);
    void *hook_ctx;
    int64_t (*now_ms)(void *ctx);
    void *now_ctx;
};

struct test_upload {
    struct store_upload base;
    struct store_upload *inner;
    char key[STORE_KEY_MAX + 1];
};

enum verdict { GO, DEAD, FAIL, FAIL_LANDED };

static struct test_store *of(struct store *s)
{
    return (struct test_store *)s;
}

static struct test_store_op op_of(enum test_store_op_kind kind, struct span key)
{
    struct test_store_op op = {.kind = kind, .requests = 1};
    snprintf(op.key, sizeof op.key, "%.*s", SPAN_FMT(key));
    return op;
}

/* Runs the hook, then decides the fate of an operation. */
static enum verdict begin(struct test_store *t, const struct test_store_op *op, enum dp_status *status)
{
    pthread_mutex_lock(&t->lock);
    void (*hook)(void *, const struct test_store_op *) = t->hook;
    void *ctx = t->hook_ctx;
    pthread_mutex_unlock(&t->lock);
    if (hook)
        hook(ctx, op);
    enum verdict verdict = GO;
    bool is_write = op->kind >= TEST_STORE_PUT;
    pthread_mutex_lock(&t->lock);
    if (is_write && t->kill_in && --t->kill_in == 0)
        t->killed = true;
    if (t->killed) {
        verdict = DEAD;
        *status = DP_UNAVAILABLE;
    } else if (t->fail_in && (t->fail_kind == op->kind || (t->fail_kind == TEST_STORE_ANY_WRITE && is_write)) &&
               --t->fail_in == 0) {
        verdict = t->fail_landed ? FAIL_LANDED : FAIL;
        *status = t->fail_status;
    }
    pthread_mutex_unlock(&t->lock);
    return verdict;
}

static void end(struct test_store *t, const struct test_store_op *op)
{
    pthread_mutex_lock(&t->lock);
    struct test_store_counts *c = &t->counts;
    bool is_write = op->kind >= TEST_STORE_PUT;
    if (op->kind != TEST_STORE_UPLOAD_BEGIN && op->kind != TEST_STORE_UPLOAD_WRITE) {
        c->rounds++;
        c->requests += op->requests;
    }
    *(is_write ? &c->bytes_written : &c->bytes_read) += op->bytes;
    c->writes += is_write;
    c->reads += op->kind == TEST_STORE_READ;
    if (t->log_count == t->log_capacity && t->log_capacity < TEST_STORE_LOG_MAX) {
        t->log_capacity = t->log_capacity ? 2 * t->log_capacity : 64;
        t->log = realloc(t->log, t->log_capacity * sizeof *t->log);
        assert(t->log);
    }
    if (t->log_count == t->log_capacity)
        memmove(t->log, t->log + 1, --t->log_count * sizeof *t->log);
    t->log[t->log_count++] = *op;
    pthread_mutex_unlock(&t->lock);
}

static enum dp_status refuse(struct dp_error *error, enum dp_status status, enum verdict verdict)
{
    return dp_fail(error, status, verdict == DEAD ? "the process is dead (test)" : "scripted failure (test)");
}

/* Returns whether the operation reaches the inner store. If not, sets status and error. */
static bool reaches(struct call *call, enum verdict verdict, enum dp_status *status)
{
    if (verdict == GO || verdict == FAIL_LANDED)
        return true;
    refuse(&call->error, *status, verdict);
    return false;
}

/* Returns the caller's status of an operation that reached the inner store. */
static enum dp_status answer(struct call *call, enum verdict verdict, enum dp_status scripted, enum dp_status real)
{
    return verdict == FAIL_LANDED ? refuse(&call->error, scripted, verdict) : real;
}

static void test_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    struct test_store *t = of(store);
    struct test_store_op op = op_of(TEST_STORE_READ, reqs[0].key);
    op.requests = n;
    enum dp_status status = DP_OK;
    enum verdict verdict = begin(t, &op, &status);
    if (verdict == GO || verdict == FAIL_LANDED)
        t->inner->ops->read(call, t->inner, reqs, n);
    for (size_t i = 0; i < n && t->now_ms; i++)
        reqs[i].date_ms = t->now_ms(t->now_ctx);
    for (size_t i = 0; i < n && verdict != GO; i++) {
        store_bytes_release(&reqs[i].bytes);
        reqs[i].status = refuse(&reqs[i].error, status, verdict);
    }
    for (size_t i = 0; i < n; i++) {
        op.bytes += reqs[i].bytes.span.len;
        if (op.status == DP_OK)
            op.status = reqs[i].status;
    }
    end(t, &op);
}

static enum dp_status test_head(struct call *call, struct store *store, struct span key, struct store_info *out)
{
    struct test_store *t = of(store);
    struct test_store_op op = op_of(TEST_STORE_HEAD, key);
    enum verdict verdict = begin(t, &op, &op.status);
    enum dp_status status = op.status;
    if (reaches(call, verdict, &status))
        status = answer(call, verdict, op.status, t->inner->ops->head(call, t->inner, key, out));
    op.status = status;
    end(t, &op);
    return status;
}

/* Returns whether this put meets the scripted fate, and gives that fate. */
static bool is_fated(struct test_store *t, struct span key, enum test_store_fate *fate, enum dp_status *status)
{
    pthread_mutex_lock(&t->lock);
    size_t len = strlen(t->fate_suffix);
    bool suits = key.len >= len && memcmp(key.data + key.len - len, t->fate_suffix, len) == 0;
    bool fated = t->fate_in && suits && --t->fate_in == 0;
    *fate = t->fate;
    *status = t->fate_status;
    pthread_mutex_unlock(&t->lock);
    return fated;
}

static void keep_late(struct test_store *t, const struct store_put *put)
{
    struct late_put *late = &t->late;
    uint8_t *body = malloc(put->body.len + 1);
    assert(body);
    memcpy(body, put->body.data, put->body.len);
    pthread_mutex_lock(&t->lock);
    free(late->body);
    *late = (struct late_put){.is = true, .body = body, .len = put->body.len, .condition = put->condition};
    if (put->expected)
        late->expected = *put->expected;
    snprintf(late->key, sizeof late->key, "%.*s", SPAN_FMT(put->key));
    pthread_mutex_unlock(&t->lock);
}

static enum dp_status meet_fate(struct call *call, struct test_store *t, struct store_put *put,
                                enum test_store_fate fate, enum dp_status status)
{
    if (fate == TEST_STORE_TWICE) {
        t->inner->ops->put(call, t->inner, put);
        dp_error_clear(&call->error);
        return t->inner->ops->put(call, t->inner, put);
    }
    if (fate == TEST_STORE_LATE)
        keep_late(t, put);
    return dp_fail(&call->error, status, "scripted fate (test)");
}

enum dp_status test_store_deliver(struct store *s, struct call *call)
{
    struct test_store *t = of(s);
    pthread_mutex_lock(&t->lock);
    struct late_put late = t->late;
    t->late = (struct late_put){0};
    pthread_mutex_unlock(&t->lock);
    if (!late.is)
        return DP_NOT_FOUND;
    struct store_put put = {.key = span_str(late.key),
                            .body = span_of(late.body, late.len),
                            .condition = late.condition,
                            .expected = &late.expected};
    enum dp_status status = t->inner->ops->put(call, t->inner, &put);
    free(late.body);
    return status;
}

void test_store_date(struct store *s, int64_t (*now_ms)(void *ctx), void *ctx)
{
    of(s)->now_ms = now_ms;
    of(s)->now_ctx = ctx;
}

static enum dp_status test_put(struct call *call, struct store *store, struct store_put *put)
{
    struct test_store *t = of(store);
    struct test_store_op op = op_of(TEST_STORE_PUT, put->key);
    op.condition = put->condition;
    op.bytes = put->body.len;
    enum verdict verdict = begin(t, &op, &op.status);
    enum dp_status status = op.status;
    enum test_store_fate fate;
    enum dp_status fate_status;
    if (verdict == GO && is_fated(t, put->key, &fate, &fate_status))
        status = meet_fate(call, t, put, fate, fate_status);
    else if (reaches(call, verdict, &status))
        status = answer(call, verdict, op.status, t->inner->ops->put(call, t->inner, put));
    if (t->now_ms)
        put->date_ms = t->now_ms(t->now_ctx);
    op.status = status;
    end(t, &op);
    return status;
}

static enum dp_status test_list(struct call *call, struct store *store, struct span prefix, struct span after,
                                bool folders, size_t max, struct store_listing *out)
{
    struct test_store *t = of(store);
    struct test_store_op op = op_of(TEST_STORE_LIST, prefix);
    enum verdict verdict = begin(t, &op, &op.status);
    enum dp_status status = op.status;
    if (reaches(call, verdict, &status))
        status = answer(call, verdict, op.status,
                        t->inner->ops->list(call, t->inner, prefix, after, folders, max, out));
    op.status = status;
    end(t, &op);
    return status;
}

static enum dp_status test_remove(struct call *call, struct store *store, struct span key)
{
    struct test_store *t = of(store);
    struct test_store_op op = op_of(TEST_STORE_REMOVE, key);
    enum verdict verdict = begin(t, &op, &op.status);
    enum dp_status status = op.status;
    if (reaches(call, verdict, &status))
        status = answer(call, verdict, op.status, t->inner->ops->remove(call, t->inner, key));
    op.status = status;
    end(t, &op);
    return status;
}

static enum dp_status test_upload_begin(struct call *call, struct store *store, struct span key,
                                        struct store_upload **out)
{
    struct test_store *t = of(store);
    struct test_store_op op = op_of(TEST_STORE_UPLOAD_BEGIN, key);
    enum verdict verdict = begin(t, &op, &op.status);
    enum dp_status status = op.status;
    if (reaches(call, verdict, &status)) {
        struct store_upload *inner = NULL;
        status = t->inner->ops->upload_begin(call, t->inner, key, &inner);
        if (status == DP_OK && verdict == FAIL_LANDED) {
            t->inner->ops->upload_abort(inner);
            status = refuse(&call->error, op.status, verdict);
        } else if (status == DP_OK) {
            struct test_upload *u = malloc(sizeof *u);
            assert(u);
            *u = (struct test_upload){.base = {store}, .inner = inner};
            snprintf(u->key, sizeof u->key, "%.*s", SPAN_FMT(key));
            *out = &u->base;
        }
    }
    op.status = status;
    end(t, &op);
    return status;
}

static enum dp_status test_upload_write(struct call *call, struct store_upload *upload, struct span bytes)
{
    struct test_upload *u = (struct test_upload *)upload;
    struct test_store *t = of(upload->store);
    struct test_store_op op = op_of(TEST_STORE_UPLOAD_WRITE, span_str(u->key));
    op.bytes = bytes.len;
    enum verdict verdict = begin(t, &op, &op.status);
    enum dp_status status = op.status;
    if (reaches(call, verdict, &status))
        status = answer(call, verdict, op.status, t->inner->ops->upload_write(call, u->inner, bytes));
    op.status = status;
    end(t, &op);
    return status;
}

static void test_upload_abort(struct store_upload *upload)
{
    struct test_upload *u = (struct test_upload *)upload;
    struct test_store *t = of(upload->store);
    t->inner->ops->upload_abort(u->inner);
    free(u);
}

static enum dp_status test_upload_finish(struct call *call, struct store_upload *upload,
                                         struct store_version *version)
{
    struct test_upload *u = (struct test_upload *)upload;
    struct test_store *t = of(upload->store);
    struct test_store_op op = op_of(TEST_STORE_UPLOAD_FINISH, span_str(u->key));
    enum verdict verdict = begin(t, &op, &op.status);
    enum dp_status status = op.status;
    if (reaches(call, verdict, &status))
        status = answer(call, verdict, op.status, t->inner->ops->upload_finish(call, u->inner, version));
    else
        t->inner->ops->upload_abort(u->inner);
    free(u);
    op.status = status;
    end(t, &op);
    return status;
}

struct store *test_store_unwrap(struct store *s)
{
    struct test_store *t = of(s);
    struct store *inner = t->inner;
    pthread_mutex_destroy(&t->lock);
    free(t->late.body);
    free(t->log);
    free(t);
    return inner;
}

static void test_free(struct store *store)
{
    store_free(test_store_unwrap(store));
}

static enum dp_status test_settle(struct call *call, struct store *store, struct span key)
{
    return store_settle(call, of(store)->inner, key);
}

static const struct store_ops TEST_OPS = {
    .scheme = "test",
    .read = test_read,
    .head = test_head,
    .put = test_put,
    .list = test_list,
    .remove = test_remove,
    .upload_begin = test_upload_begin,
    .upload_write = test_upload_write,
    .upload_finish = test_upload_finish,
    .upload_abort = test_upload_abort,
    .free = test_free,
    .settle = test_settle,
};

struct store *test_store_wrap(struct store *inner)
{
    struct test_store *t = calloc(1, sizeof *t);
    assert(t);
    t->ops = TEST_OPS;
    t->ops.counting = inner->ops->counting;
    t->base.ops = &t->ops;
    t->inner = inner;
    pthread_mutex_init(&t->lock, NULL);
    return &t->base;
}

struct store *test_store_inner(struct store *s)
{
    return of(s)->inner;
}

struct test_store_counts test_store_counts(struct store *s)
{
    pthread_mutex_lock(&of(s)->lock);
    struct test_store_counts counts = of(s)->counts;
    pthread_mutex_unlock(&of(s)->lock);
    return counts;
}

const struct test_store_op *test_store_log(struct store *s, size_t *count)
{
    *count = of(s)->log_count;
    return of(s)->log;
}

void test_store_reset(struct store *s)
{
    pthread_mutex_lock(&of(s)->lock);
    of(s)->counts = (struct test_store_counts){0};
    of(s)->log_count = 0;
    pthread_mutex_unlock(&of(s)->lock);
}

void test_store_kill_at(struct store *s, size_t n)
{
    pthread_mutex_lock(&of(s)->lock);
    of(s)->kill_in = n;
    of(s)->killed = false;
    pthread_mutex_unlock(&of(s)->lock);
}

bool test_store_killed(struct store *s)
{
    pthread_mutex_lock(&of(s)->lock);
    bool killed = of(s)->killed;
    pthread_mutex_unlock(&of(s)->lock);
    return killed;
}

void test_store_fail_at(struct store *s, enum test_store_op_kind kind, size_t n, enum dp_status status,
                        bool landed)
{
    struct test_store *t = of(s);
    pthread_mutex_lock(&t->lock);
    t->fail_kind = kind;
    t->fail_in = n;
    t->fail_status = status;
    t->fail_landed = landed;
    pthread_mutex_unlock(&t->lock);
}

void test_store_fate_at(struct store *s, const char *suffix, size_t n, enum test_store_fate fate,
                        enum dp_status status)
{
    struct test_store *t = of(s);
    pthread_mutex_lock(&t->lock);
    snprintf(t->fate_suffix, sizeof t->fate_suffix, "%s", suffix);
    t->fate_in = n;
    t->fate = fate;
    t->fate_status = status;
    pthread_mutex_unlock(&t->lock);
}

void test_store_hook(struct store *s, void (*hook)(void *ctx, const struct test_store_op *op), void *ctx)
{
    struct test_store *t = of(s);
    pthread_mutex_lock(&t->lock);
    t->hook = hook;
    t->hook_ctx = ctx;
    pthread_mutex_unlock(&t->lock);
}
