/* account/key_checks.h: finding out whether a key that nobody remembers is a good one.
 *
 * That costs a look into the database. Where that has a digest beside the key's hash, the digest decides at once. Where
 * it has not, as for keys that other programs have made and that nobody has shown yet, bcrypt is run (a quarter of a
 * second by design), and what it finds right gets its digest. Runs happen on one thread, one after another, with a
 * bounded queue; askers for the same key share a check. So a flood of wrong keys costs one processor at most, and holds
 * few threads of others: who finds no place is told soon.
 */
#ifndef ACCOUNT_KEY_CHECKS_H
#define ACCOUNT_KEY_CHECKS_H

#include "account/key_memory.h"

struct key_checks;

struct key_checks_options {
    struct database *db;
    struct quotas *quotas;
    struct key_memory *right, *wrong; /* where results are put */
    struct span scheme;               /* of keys; outlives the checks */
    struct account_clock clock;
    unsigned waiting_max;             /* threads that may look, or wait for results, at once */
    struct metric_registry *registry; /* NULL: none */
};

enum {
    CHECKS_MAX = 16,         /* different keys that bcrypt is run for, or that wait for that */
    CHECKS_A_PREFIX_MAX = 4, /* of them with one prefix: who knows a prefix must not fill the queue alone */
};

enum dp_status key_checks_new(const struct key_checks_options *options, struct key_checks **out,
                              struct dp_error *error);
void key_checks_free(struct key_checks *c); /* NULL is fine; nobody may wait. Ends the run in progress first */

/* Whether there is no place for another asker now, and others hope for one. Never blocks. */
bool key_checks_full(struct key_checks *c);
/* Waits for the result on a well-formed key: *out is a reference to the good key, or NULL for a wrong one.
 * DP_OVERLOADED: no place; DP_UNAVAILABLE: the database is away; or the call's own end. */
enum dp_status key_checks_run(struct call *call, struct key_checks *c, struct span text,
                              const uint8_t digest[SIPHASH_BYTES], struct account_key **out);

#endif
