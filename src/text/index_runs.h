/* text/index_runs.h: the sorted runs of a text index that is being built, and their merge.
 *
 *     run  := (u16 len, key, u32 df, u32 len, postings){terms}      keys ascend
 *
 * Postings are pairs of varints: the row minus the row before minus 1, and the frequency. Rows of a later run are
 * larger.
 */
#ifndef TEXT_INDEX_RUNS_H
#define TEXT_INDEX_RUNS_H

#include "base/buffer.h"
#include "os/spill.h"

/* One run: a part of the spill, and where the merge is in it. */
struct text_run {
    uint64_t at, len;
    struct cursor rest;
    struct span key, postings; /* of the current term */
    uint32_t df;
    bool ended;
};

struct text_runs {
    struct spill bytes;
    struct text_run *runs;
    size_t count, capacity;
    enum dp_status status; /* the failure of text_runs_next() */
};

/* A term, as the merge meets it. Its key is valid until the merge goes on. */
struct text_merged {
    struct span key;
    uint64_t df;
    uint32_t *rows, *tfs; /* [df]; of text_runs_next() with `postings` */
    size_t room;          /* of both arrays */
};

void text_runs_init(struct text_runs *r);
void text_runs_deinit(struct text_runs *r);
/* Begins a run: terms are appended to it with text_runs_append(). */
enum dp_status text_runs_begin(struct text_runs *r, struct dp_error *error);
enum dp_status text_runs_append(struct text_runs *r, struct span bytes, struct dp_error *error);
/* Goes to the first term of all runs. */
enum dp_status text_runs_rewind(struct text_runs *r, struct dp_error *error);
/* Gives the next term; `postings`: with its rows. Returns false at the end, and after a failure, which r->status has. */
bool text_runs_next(struct text_runs *r, bool postings, struct text_merged *term, struct dp_error *error);
void text_merged_deinit(struct text_merged *term);

#endif
