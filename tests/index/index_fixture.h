/* index_fixture.h: a store with namespaces in it, rows to load, and the answers that exhaustive search gives.
 *
 * Row number i has the same id, vectors and attributes wherever it is used: vectors are drawn around CENTRES
 * random centres, as embeddings of texts lie in clusters. `edition` changes a row's vector and attributes but
 * not its id.
 */
#ifndef INDEX_FIXTURE_H
#define INDEX_FIXTURE_H

#include "test_store.h"
#include "test_support.h"

#include "index/index.h"
#include "index/load/load.h"

enum { FIXTURE_DIM = 24, FIXTURE_WINDOWS_MAX = 5, FIXTURE_CENTRES = 40 };

/* The test that runs; its store records (test_store.h). */
struct world {
    struct arena arena;
    struct call call;
    struct store *store;
    enum index_metric metric;
    uint32_t dim;
    bool windows;                    /* some rows have several vectors */
    const struct index_clock *clock; /* clock of loads; NULL: one whose waits take no time */
};

int world_in_memory(void **state); /* cmocka set-up: a fresh mem:// store */
int world_in_folder(void **state); /* cmocka set-up: a store in a fresh folder */
int world_close(void **state);     /* cmocka tear-down */
/* Forgets the costs of the call, its error and its arena. */
void world_reset(struct world *w);

/* The vectors, id and attributes of a row. */
size_t fixture_windows(const struct world *w, uint64_t row);
void fixture_vector(const struct world *w, uint64_t row, size_t window, unsigned edition, float *out);
struct index_id fixture_id(uint64_t row, char text[32]); /* every third is a string */
const char *fixture_attributes(uint64_t row, unsigned edition, char text[256]);
void fixture_query(const struct world *w, uint64_t number, float *out);

struct index_vectors fixture_vectors(const struct world *w);
/* Begins a load; its waits take no time. Fails the test when it cannot. */
struct index_loader *fixture_begin(struct world *w, const char *name);
/* Adds rows [from, to) to a load. */
enum dp_status fixture_add(struct world *w, struct index_loader *loader, uint64_t from, uint64_t to,
                           unsigned edition);
/* Begins a load, adds rows [from, to) and commits. */
enum dp_status fixture_load(struct world *w, const char *name, uint64_t from, uint64_t to, unsigned edition,
                            struct index_load_summary *summary);
/* As fixture_load; returns the summary, or fails the test. */
struct index_load_summary fixture_must_load(struct world *w, const char *name, uint64_t from, uint64_t to,
                                            unsigned edition);

/* The rows that a namespace should hold: rows [0, first) of edition `base`, where rows [from, to) are newer. */
struct expected {
    uint64_t rows;
    unsigned edition;
    uint64_t newer_from, newer_to;
    unsigned newer_edition;
};
/* The exact distance of a row. */
float fixture_distance(const struct world *w, const struct expected *e, uint64_t row, const float *query);
/* Runs `queries` queries and compares with exhaustive search: every distance and attribute must be right for its id,
 * the order ascending, no id twice. Returns recall@k. */
double fixture_check_answers(struct world *w, struct index_reader *reader, const struct expected *e,
                             size_t queries, uint32_t k, uint32_t nprobe);
/* The number of the row with this id, or UINT64_MAX. */
uint64_t fixture_row_of(struct index_id id);

struct index_reader *fixture_open(struct world *w, const char *name);
/* Copies every object of one store into another (both through the world's call). */
void fixture_copy(struct world *w, struct store *from, struct store *to);
/* A fresh store in memory, not wrapped. */
struct store *fixture_memory(struct world *w);

#endif
