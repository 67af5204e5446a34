/* contract_fixture.h: what the files of the contract suite share; users include contract.h. */
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
/* The status of reading the whole object, which on failure must come with a message and no bytes. */
enum dp_status contract_read_status(struct fixture *f, const char *key);
/* `len` bytes that differ with `seed`; the caller frees them. */
uint8_t *contract_pattern(size_t len, uint64_t seed);
/* The listing as "key key/ key …", in a static buffer; `truncated` NULL: it must not be. */
const char *contract_list(struct fixture *f, const char *prefix, const char *after, bool folders, size_t max,
                          bool *truncated);

int contract_run_objects(void);
int contract_run_lists(void);
int contract_run_races(void);

#endif
