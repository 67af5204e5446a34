/* contract_fixture.h: the state, puts and reads that the files of the contract suite share. Other tests include
 * contract.h. */
#ifndef STORE_CONTRACT_FIXTURE_H
#define STORE_CONTRACT_FIXTURE_H

#include "test_support.h"

#include "contract.h"

/* The store under test. */
extern const struct contract_store *contract_subject;

/* The state of each test: a fresh store and a call. */
struct fixture {
    struct arena arena;
    struct call call;
    struct store *store;
};

int contract_set_up(void **state);
int contract_tear_down(void **state);
#define CONTRACT_CASE(name) cmocka_unit_test_setup_teardown(name, contract_set_up, contract_tear_down)

enum dp_status contract_put(struct fixture *f, const char *key, const char *body, enum store_condition condition,
                            const struct store_version *expected, struct store_version *version);
struct store_version contract_must_put(struct fixture *f, const char *key, const char *body);
void contract_expect_content(struct fixture *f, const char *key, const char *body);
/* Reads the whole object and returns the status. A failure must have a message and no bytes. */
enum dp_status contract_read_status(struct fixture *f, const char *key);
/* Returns `len` pseudo-random bytes that depend on `seed`. The caller frees them. */
uint8_t *contract_pattern(size_t len, uint64_t seed);
/* Returns the listing as "key key/ key …", in a static buffer. If `truncated` is NULL, a truncated listing
 * fails the test. */
const char *contract_list(struct fixture *f, const char *prefix, const char *after, bool folders, size_t max,
                          bool *truncated);

int contract_run_objects(void);
int contract_run_lists(void);
int contract_run_races(void);

#endif
