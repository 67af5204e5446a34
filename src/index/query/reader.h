/* index/query/reader.h: an open namespace, shared by its queries. */
#ifndef INDEX_READER_H
#define INDEX_READER_H

#include <pthread.h>

#include "index/query/view.h"
#include "index/wal/commit_group.h"
#include "index/wal/write_key.h"

enum {
    /* How many times a reader reads the manifest again because a listed object is missing. If the manifest is still the
     * same, the namespace counts as damaged. */
    READER_RELOADS = 2,
    /* How many manifests an opening reads at most, if each is out of date before the opening ends. */
    READER_LOADS_MAX = 16
};

/* An open namespace. Any thread may use it. */
struct index_reader {
    struct store *store;
    struct span name;     /* owned */
    uint64_t round_bytes; /* maximum bytes of a round; 0: ROUND_BYTES_MAX (index/round.h) */
    uint64_t whole_bytes; /* codes of at most this many bytes are read whole; 0: as index/query/probe.c says */
    uint64_t log_end;     /* number of the last log entry to read: the log behind it is damaged; 0: no end */
    const struct index_clock *clock;
    pthread_mutex_t lock; /* guards `current`, and `seen` of each view's snapshot */
    struct view *current;
    struct commit_group group; /* its writes (index/write.c) */
    /* Whether the next group of writes must bring the view up to date first: the manifest has changed, or an entry may be
     * in the log that the view does not have. */
    atomic_bool outdated;
    /* The keys of writes that folds have moved. The leader of the group alone uses them. */
    struct {
        struct ulid id; /* of their object */
        struct key_set set;
    } folded;
};

/* Opens a namespace like index_open(), with a maximum of bytes per round (0: ROUND_BYTES_MAX) and by this clock. */
enum dp_status reader_open(struct call *call, struct store *store, struct span name, uint64_t round_bytes,
                           const struct index_clock *clock, struct index_reader **out);
/* Opens a namespace whose log is good up to entry `log_end` only. */
enum dp_status reader_open_until(struct call *call, struct store *store, struct span name, uint64_t log_end,
                                 struct index_reader **out);
/* Returns the time by the reader's clock, which counts while the host sleeps. */
int64_t reader_now_ns(const struct index_reader *reader);
/* Returns the current view; the caller releases it. */
struct view *reader_view(struct index_reader *reader);
/* Makes `view` the current one unless the present one has a newer manifest, or the same one and later log entries;
 * takes over one reference. So an acknowledged write that the current view shows stays visible.
 *
 * If one read began after the other had ended, the manifest of the later read is newer. The sequences do not matter
 * then, since a restored bucket has a smaller sequence. If the two reads overlapped, the larger sequence is newer
 * within one incarnation. Between two incarnations, the manifest of the read that began later is newer. */
void reader_install(struct index_reader *reader, struct view *view);
/* Notes that the read `seen` found the manifest of the view unchanged. */
void reader_confirm(struct index_reader *reader, struct view *view, struct manifest_read seen);
/* Reads the manifest again and opens its view, in two rounds or, with a long log, in more. Fails with DP_CORRUPT when
 * a listed object stays missing, or the log damaged, and with DP_UNAVAILABLE when the manifest changes again and
 * again. The caller releases *out. */
enum dp_status reader_reload(struct call *call, struct index_reader *reader, struct view **out);
/* Runs `run` over *view. As long as a listed object is missing (DP_STALE), runs it again over the view of a newer
 * manifest, at most READER_RELOADS times. The last view becomes the reader's and replaces *view, which stays the
 * caller's. Fails as `run` and reader_reload do, never with DP_STALE. */
enum dp_status reader_run(struct call *call, struct index_reader *reader, struct view **view,
                          enum dp_status (*run)(struct call *call, struct view *view, void *context),
                          void *context);
/* Turns the call's error DP_STALE into the status for the user: DP_UNAVAILABLE if the last reload found another
 * manifest (`moved`), else DP_CORRUPT. */
enum dp_status reader_fail_stale(struct call *call, bool moved);
/* Returns whether two views have different manifests. */
bool reader_moved(const struct view *from, const struct view *to);
/* Gives the newest view that the store has, as a strong query sees it: asks whether `view` is current, brings it
 * up to the newest log entry, or opens and installs the view of a newer manifest. When `view` is the newest, one
 * round answers. The caller releases *out; `view` stays the caller's. */
enum dp_status view_refresh(struct call *call, struct index_reader *reader, struct view *view, struct view **out);

#endif
