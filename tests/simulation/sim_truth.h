/* sim_truth.h: what a namespace holds, as a sequential model: the oracle of the simulation.
 *
 * It watches the puts that the simulated store carries out, and turns them into a list of states, one for each moment
 * at which something changed: an entry of the log got its number, a load's swap landed, a life of the name began or
 * ended. Folds, merges and the collector change nothing. A state is what a strong read may answer.
 */
#ifndef SIM_TRUTH_H
#define SIM_TRUTH_H

#include "index/id.h"
#include "index/manifest/manifest.h"
#include "index/object_name.h"
#include "sim_group.h"
#include "sim_store.h"

enum { SIM_IDS = 10, SIM_DIM = 4, SIM_REQUESTS_MAX = 4 };

/* A row's value: `v` of its last upsert in the low half, `p` of its last patch since then in the high half. 0: there is
 * no row. The row's vector follows from v. */
typedef uint64_t sim_value;

struct sim_state {
    bool live;
    sim_value rows[SIM_IDS];
};

/* One change of one row. */
struct sim_request {
    enum { SIM_UPSERT, SIM_PATCH, SIM_DELETE } kind;
    unsigned id;
    uint32_t value; /* of v or p */
};

/* Something that a task wants to do. It lives until the end of the history. */
struct sim_op {
    enum { SIM_WRITE, SIM_LOAD, SIM_DROP, SIM_CREATE, SIM_UPKEEP } kind;
    const char *who;
    struct sim_request requests[SIM_REQUESTS_MAX];
    uint32_t below[3]; /* condition of each kind of requests: v < below of the row that is there; 0: none */
    size_t count;
    struct sim_truth *truth;
    const void *member;             /* a write in its namespace's queue: struct group_member * */
    struct ulid incarnation;        /* a write: the life that it was checked for */
    struct sim_group *groups;       /* a write: those that it has led, newest first */
    bool idle;                      /* it was in the group of an entry, and had nothing to write there */
    bool applied[SIM_REQUESTS_MAX]; /* which requests took effect, by the model */
    unsigned landed;                /* how many times it is in the history */
    size_t event;                   /* state that it made */
    uint64_t life;                  /* the life of the namespace in which it landed */
    uint64_t number;                /* of its log entry */
    struct ulid load;               /* a load by the log: its ULID among the pending ones */
    struct ulid first;              /* a deletion: the life that it read first */
    bool has_first;
    bool is_void; /* the log has given that load up */
    bool refused; /* its caller was told that the operation is not, and never will be, carried out */
    struct sim_op *next;
};

/* A life of the name that has ended. */
struct sim_life {
    struct ulid incarnation;
    size_t end;             /* the state that ended it */
    uint64_t entries;       /* numbers of its log that were put, also after its end */
    struct sim_state state; /* after the last of them */
};

/* A state that was never acknowledged: an entry was put into a life that had just ended, by a writer that did not
 * know of the end yet, and is told of it. A read that began before anybody knew of the end may see it. */
struct sim_ghost {
    struct sim_state state;
    size_t end; /* the state that ended the life */
};

struct sim_truth {
    struct sim_store *store;
    const char *name;
    const char *const *branches; /* names of its branches, ended by NULL, whose objects must stay; or NULL */
    struct sim_state *states;    /* [count]; the last one is now */
    size_t count, room;
    struct sim_ghost *ghosts; /* [ghost_count] */
    size_t ghost_count, ghost_room;
    struct sim_life *lives; /* [life_count] */
    size_t life_count, life_room;
    size_t need;             /* newest state that somebody was told of */
    struct ulid incarnation; /* of the present or last life */
    uint64_t entries;        /* numbers of its log that were put */
    uint64_t floor, gone, sequence;
    struct manifest manifest; /* in the store, if any was put */
    bool has_manifest;
    struct id_key keys[SIM_IDS];
    struct sim_op *ops;
    struct {
        uint64_t loads, attached, voids, entries, lives, deaths, floors, gones, entries_deleted, objects_deleted,
            zombies, swaps, ghosts_seen, groups;
        uint64_t acknowledged, unknown, refused, died, strong_reads, eventual_reads, absent_reads;
    } counts;
};

void truth_init(struct sim_truth *truth, struct sim_store *store, const char *name);
void truth_deinit(struct sim_truth *truth);
struct sim_op *truth_begin(struct sim_truth *truth, int kind, const char *who);
/* Checks what an operation answered, and notes what must be seen from now on. `status` as the product said it. */
void truth_end(struct sim_truth *truth, struct sim_op *op, enum dp_status status, bool crashed);
/* Checks the number and the outcomes that an acknowledged write got. `from`: the oldest state that it may have seen. */
void truth_check_write(struct sim_truth *truth, const struct sim_op *op, uint64_t number, const bool *applied,
                       size_t from);
/* Checks what a read answered: it must have been the state at a moment since state `from`. */
void truth_check_read(struct sim_truth *truth, const struct sim_state *seen, size_t from, const char *who);
/* Checks the end of a history. */
void truth_check_end(struct sim_truth *truth);

/* Carries out the requests one after another. */
void sim_apply(struct sim_state *state, const struct sim_op *op, bool applied[SIM_REQUESTS_MAX]);
struct index_id sim_id(unsigned id);
void sim_vector(sim_value value, float out[SIM_DIM]);
/* Reads a value from a document, {"v":7,"p":8}. */
sim_value sim_value_of(struct span document);

#endif
