/* test_store.h: a store around another one. It records and counts operations, and fails and dies on command.
 *
 *     struct store *s = test_store_wrap(inner);         // s owns inner
 *     test_store_kill_at(s, 3);                         // the third write from now, and all after it, fail
 *     …
 *     assert_int_equal(test_store_counts(s).rounds, 2); // since the wrap or the last reset
 *     store_free(s);
 *
 * Enumerating every crash of a writer, on a store that the "process" leaves behind:
 *     for (size_t n = 1; ; n++) {
 *         fresh `inner`; s = test_store_wrap(inner); test_store_kill_at(s, n);
 *         run the writer over s; bool died = test_store_killed(s);
 *         inner = test_store_unwrap(s); check what a fresh reader sees in inner;
 *         if (!died) break;
 *     }
 * Writes are put, remove, upload_begin, upload_write and upload_finish. All functions are thread-safe. The
 * wrapper's memory comes from malloc, so that the wrapper does not disturb a walk over failing allocations.
 */
#ifndef TEST_STORE_H
#define TEST_STORE_H

#include "store/store.h"

enum test_store_op_kind {
    TEST_STORE_READ, /* one batch */
    TEST_STORE_HEAD,
    TEST_STORE_LIST,
    TEST_STORE_PUT, /* from here on: writes */
    TEST_STORE_REMOVE,
    TEST_STORE_UPLOAD_BEGIN,
    TEST_STORE_UPLOAD_WRITE,
    TEST_STORE_UPLOAD_FINISH,
    TEST_STORE_ANY_WRITE /* for test_store_fail_at */
};

struct test_store_op {
    enum test_store_op_kind kind;
    size_t requests;                /* ranges of a read batch; else 1 */
    uint64_t bytes;                 /* delivered or sent */
    enum dp_status status;          /* status that the caller got; of a batch, its first failure */
    enum store_condition condition; /* of a put */
    char key[256];                  /* of the (first) request, cut when longer */
};

struct test_store_counts {
    uint64_t rounds;   /* reads, heads, lists, puts, removals, finished uploads */
    uint64_t requests; /* reads, heads, …; each range of a batch counts */
    uint64_t bytes_read, bytes_written;
    uint64_t reads, writes; /* read batches; writes */
};

struct store *test_store_wrap(struct store *inner);
struct store *test_store_inner(struct store *s);
/* Frees only the wrapper. Returns the inner store. */
struct store *test_store_unwrap(struct store *s);

struct test_store_counts test_store_counts(struct store *s);
/* Returns the latest TEST_STORE_LOG_MAX operations, in the order in which they ended. Valid until the next
 * operation. */
enum { TEST_STORE_LOG_MAX = 65536 };
const struct test_store_op *test_store_log(struct store *s, size_t *count);
/* Zeroes the counts and empties the log. */
void test_store_reset(struct store *s);

/* The n-th write from now (1: the next) does not land. It and every later operation fail with DP_UNAVAILABLE, as if the
 * process had died. 0 disarms and revives. */
void test_store_kill_at(struct store *s, size_t n);
bool test_store_killed(struct store *s);

/* The n-th operation of that kind from now returns `status`. If `landed`, it is carried out first: a lost
 * answer, DP_UNKNOWN for a put. Otherwise it is not carried out. Only one such script is armed at a time; n 0
 * disarms. */
void test_store_fail_at(struct store *s, enum test_store_op_kind kind, size_t n, enum dp_status status,
                        bool landed);

/* The fate of a put between its sender and the store. */
enum test_store_fate {
    TEST_STORE_SWALLOWED, /* never carried out */
    TEST_STORE_LATE,      /* carried out, under its condition, by test_store_deliver */
    TEST_STORE_TWICE      /* carried out twice; the answer is the second one's */
};
/* The n-th put from now of a key that ends in `suffix` meets this fate. It returns `status`, except TEST_STORE_TWICE.
 * One such script at a time; at most one put is late at a time. */
void test_store_fate_at(struct store *s, const char *suffix, size_t n, enum test_store_fate fate,
                        enum dp_status status);
/* Carries out the late put and returns its status, which its sender never learns. DP_NOT_FOUND if no put is
 * late. */
enum dp_status test_store_deliver(struct store *s, struct call *call);

/* Dates each answer of a read or a put by `now_ms` instead of the inner store's clock. NULL removes the clock. */
void test_store_date(struct store *s, int64_t (*now_ms)(void *ctx), void *ctx);

/* Runs `hook` before each operation, without a lock, so that it may act as another writer. NULL removes the
 * hook. */
void test_store_hook(struct store *s, void (*hook)(void *ctx, const struct test_store_op *op), void *ctx);

#endif
