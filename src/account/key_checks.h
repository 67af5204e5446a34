/* account/key_checks.h: checks a key that is not remembered.
 *
 * A check reads the database. If the database has a digest beside the key's hash, the digest decides at once. If
 * not (another program made the key, and nobody has shown it yet), bcrypt runs, a quarter of a second by design,
 * and stores the digest of a right key. bcrypt runs on one thread, one key after another, with a bounded queue;
 * askers for the same key share a check. So a flood of wrong keys costs at most one processor and holds few
 * threads: an asker without a place fails within a fraction of a second.
 */
#ifndef ACCOUNT_KEY_CHECKS_H
#define ACCOUNT_KEY_CHECKS_H

#include "account/key_memory.h"

struct key_checks;

struct key_checks_options {
    struct database *db;
    struct quotas *quotas;
    struct key_memory *right, *wrong; /* remember the results */
    struct span scheme;               /* prefix of keys; outlives the checks */
    struct account_clock clock;
    unsigned waiting_max;             /* maximum threads that check, or wait for results */
    struct metric_registry *registry; /* NULL: none */
};

enum {
    CHECKS_MAX = 16,         /* maximum keys in the queue for bcrypt */
    CHECKS_A_PREFIX_MAX = 4, /* maximum keys in the queue with one prefix, so that one prefix cannot fill it */
};

enum dp_status key_checks_new(const struct key_checks_options *options, struct key_checks **out,
                              struct dp_error *error);
/* Waits until bcrypt ends. NULL is fine; no thread may be waiting for a check. */
void key_checks_free(struct key_checks *c);

/* Whether all places are taken and askers wait for one. Never blocks. */
bool key_checks_full(struct key_checks *c);
/* Checks a well-formed key: *out is a reference to the right key, or NULL for a wrong key. DP_OVERLOADED: no
 * place is free. DP_UNAVAILABLE: the database does not answer. DP_CANCELLED, DP_DEADLINE: the call ended. */
enum dp_status key_checks_run(struct call *call, struct key_checks *c, struct span text,
                              const uint8_t digest[SIPHASH_BYTES], struct account_key **out);

#endif
