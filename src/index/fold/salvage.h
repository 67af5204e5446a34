/* index/fold/salvage.h: reads what is left of a damaged segment. */
#ifndef INDEX_FOLD_SALVAGE_H
#define INDEX_FOLD_SALVAGE_H

#include "index/fold/verify.h"
#include "index/load/load.h"

/* The state of the salvage of some segments, and its sums. */
struct salvage {
    const struct verification *v; /* has verified all; v->live and v->written are sorted */
    struct index_loader *loader;  /* gets the rows that can be read; NULL: they are only counted */
    void (*lost)(void *context, const struct index_id *id); /* receives the id of each lost row; or NULL */
    void *context;
    uint64_t kept;    /* rows that can be read and live */
    uint64_t rows;    /* lost rows, except those whose ids a later log entry names */
    uint64_t unnamed; /* lost rows whose ids are lost, too */
    uint64_t back;    /* maximum number of rows of `kept` that had been deleted before */
};

/* Salvages one segment. A row whose document or vectors are damaged is lost. When the .del object is damaged, a
 * row counts as deleted if another segment has a live row with its id, since a namespace has only one row with an
 * id. Fails only when it cannot read or write. */
enum dp_status salvage_segment(struct call *call, struct salvage *s, const struct manifest_segment *listed);

#endif
