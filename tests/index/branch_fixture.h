/* branch_fixture.h: namespaces and their branches, each with a log and a model, and collectors that remove their
 * garbage. */
#ifndef BRANCH_FIXTURE_H
#define BRANCH_FIXTURE_H

#include "model_fixture.h"
#include "time_fixture.h"

/* A namespace and what it should hold. */
struct branch_space {
    struct world *world;
    const char *name;
    struct model model;
    struct fixture_log log;
    unsigned edition;
    uint64_t random;
};

/* Makes the namespace "rows": loaded rows, then log entries, of which a fold has moved some into a segment. */
void branch_begin(struct branch_space *s, struct world *w);
/* Frees the memory of `s`. The namespace stays. */
void branch_end(struct branch_space *s);
/* Puts some entries into the log. */
void branch_write(struct branch_space *s, int entries);
void branch_fold(struct world *w, const char *name);
void branch_merge(struct world *w, const char *name);

enum dp_status branch_try(struct world *w, const char *source, const char *name);
/* Makes a branch of `from`. The branch begins with the rows of `from`. Fails the test when it cannot. */
void branch_make(struct branch_space *branch, const struct branch_space *from, const char *name);
/* Opens the namespace anew, compares it with the model, and verifies it. */
void branch_check(struct branch_space *s);
void branch_delete(struct world *w, const char *name);

/* Lets days pass, while collectors of these names (a list that NULL ends) remove all that they may. */
void branch_collect(struct world *w, const char *const *names);
/* Returns how many objects lie below a name. */
size_t branch_objects(struct world *w, const char *name);
size_t branch_pins(struct world *w, const char *name);

#endif
