/* model_fixture.h: a model of a namespace: which fixture rows it should hold, and in which editions. Queries are
 * compared with exhaustive search over the model.
 */
#ifndef MODEL_FIXTURE_H
#define MODEL_FIXTURE_H

#include "log_fixture.h"

enum { MODEL_ROWS = 260 };

/* What a namespace should hold: row i with edition[i], if live[i]. */
struct model {
    bool live[MODEL_ROWS];
    bool bare[MODEL_ROWS]; /* it has no vector */
    unsigned edition[MODEL_ROWS];
};

/* A row of the model and its distance. */
struct model_hit {
    uint64_t row;
    float dist;
};

/* Returns the distance of a row, in its edition, to a query. */
float model_distance(const struct world *w, const struct model *m, uint64_t row, const float *query);
int model_hits_by_distance(const void *a, const void *b);
/* Draws a number below `below`, which is at least 1. */
uint64_t model_draw(uint64_t *state, uint64_t below);
uint64_t model_live(const struct model *m);
/* Asks one random query over all lists, and checks that the answer holds the best rows of the model, as they are now. */
void model_ask(struct world *w, struct index_reader *reader, const struct model *m, uint64_t *random);
void model_check_stats(struct world *w, struct index_reader *reader, const struct model *m);
/* Looks up random rows, and some that never existed, in the reader's current view; vectors are compared bit by bit. */
void model_look_up(struct world *w, struct index_reader *reader, const struct model *m, uint64_t *random);
/* Puts one entry of random upserts, some without a vector, and deletions; a row may occur several times. */
void model_put_entry(struct fixture_log *log, struct model *m, uint64_t *random, unsigned *edition);
void model_load(struct world *w, struct model *m, uint64_t from, uint64_t to, unsigned edition);

#endif
