/* index/query/follow.h: opens views, and brings them up to the newest log entry.
 *
 * An answer about the log counts (rule L4 of docs/internals/wal.md) when it came within FOLLOW_GRACE_NS after the
 * sending of a read of the manifest that shows the view's manifest, by the reader's clock and by the store's. (The
 * clock of a host stands still while a hypervisor holds the host.) Until twice that time has passed, nobody deletes a
 * log entry that this manifest needs. A later answer counts after another read of the manifest.
 */
#ifndef INDEX_FOLLOW_H
#define INDEX_FOLLOW_H

#include "index/query/news.h"

/* Half of the time that the collector waits before it deletes anything. */
#define FOLLOW_GRACE_NS (INT64_C(450) * 1000 * 1000 * 1000)

/* Opens the manifest `m`, which the read `seen` found, and reads its log to the end. Shares with the older view
 * `before` (or NULL) what still holds. Takes over *m, also on failure. Fails with DP_STALE when the manifest may have
 * changed: a listed object is missing, or the log does not fit. */
enum dp_status view_open(struct call *call, const struct index_reader *reader, struct manifest *m,
                         const struct store_version *version, struct manifest_read seen, struct view *before,
                         struct view **out);

/* Reads and applies the entries after the view's last one. `run`: entries that are there already, which it releases.
 * `seen`: the read that found the view's manifest. Applies no entry whose answer came too late to count. `news`, or
 * NULL: takes the entries in place of the view if they can wait; the caller releases them.
 * Fails with DP_STALE as view_open() does. */
enum dp_status view_follow(struct call *call, struct view *view, struct log_run *run,
                           const struct manifest_read *seen, struct log_news *news);

/* ---- asking whether a view is current ------------------------------------------------------------------ */

/* The question: the manifest, if it changed, and the next log entry, if the namespace has a log. A round may also
 * read other things. */
struct current_read {
    struct view *view;
    size_t manifest; /* handle of the read */
    struct log_read log;
    struct manifest_read seen; /* times of the round; its owner sets them */
};

enum dp_status current_ask(struct round *round, struct view *view, struct current_read *out);
/* Judges the answer. If the manifest is the view's, brings the view up to the newest log entry, or fills `news` as
 * view_follow() does. Otherwise sets
 * *changed, and *newer to the new manifest, which the caller releases. Fails with DP_NOT_FOUND when the namespace is
 * gone, or as view_follow() does. */
enum dp_status current_judge(struct round *round, const struct current_read *read, bool *changed,
                             struct store_read_req *newer, struct log_news *news);
/* Opens the view over the changed manifest `newer`, and releases `newer`. Fails as view_open() does. */
enum dp_status current_adopt(struct call *call, struct view *before, struct store_read_req *newer,
                             struct manifest_read seen, struct view **out);

#endif
