/* index/query/masking.h: a search for the rows of segments that the tail of a view replaces or deletes.
 *
 *     masking_init(&m, call, view); masking_add_segment(&m, i); masking_add_key(&m, id);    // for each
 *     masking_search(&m);                   // reads from the store
 *     lock the view for writing; masking_apply(&m); unlock
 *     masking_deinit(&m);
 *
 * One thread uses it. It holds no lock while it reads.
 */
#ifndef INDEX_MASKING_H
#define INDEX_MASKING_H

#include "index/query/id_search.h"
#include "index/query/view.h"

/* A row of a segment that has the id of a tail row. */
struct masked_row {
    size_t segment, key; /* position in the base; position in the keys */
    uint32_t row;
};

/* A search for the rows that a view masks. */
struct masking {
    struct call *call;
    struct view *view;
    struct span *keys; /* [key_count], sorted, without repetition */
    size_t key_count, key_room;
    struct searched_segment *segments; /* [segment_count]: segments to search */
    size_t *places;                    /* [segment_count]: their positions in the base */
    size_t segment_count;
    struct masked_row *rows; /* [row_count] */
    size_t row_count, row_room;
    struct row_set **fresh; /* [segments of the base]: masks that the view does not have yet */
};

enum dp_status masking_init(struct masking *m, struct call *call, struct view *view);
void masking_deinit(struct masking *m);
/* Adds a segment of the base to those that are searched. */
void masking_add_segment(struct masking *m, size_t place);
void masking_add_segments(struct masking *m); /* all of the base */
/* Adds an id to look up; keys may repeat. The key's bytes must stay. */
enum dp_status masking_add_key(struct masking *m, struct span key);
/* Makes the masks that the view may lack. No lock: a mask that is there already costs one allocation. */
enum dp_status masking_make_masks(struct masking *m);
/* Searches the segments for the keys, and makes the masks that the view lacks. Reads from the store. */
enum dp_status masking_search(struct masking *m);
/* Asks the round for the blocks of ids instead. *ids: what id_search_take() wants; NULL: there is nothing to read.
 * *full: the round has no room for them. */
enum dp_status masking_ask(struct masking *m, struct round *round, struct id_searching **ids, bool *full);
/* Masks the found rows whose ids are in the tail. The caller holds the view's lock for writing. */
void masking_apply(struct masking *m);

#endif
