/* known_names.c: lists existing namespaces from time to time, and appends their names to errors. */
#include "service/known_names.h"

#include <stdio.h>
#include <string.h>

#include "os/clock.h"
#include "os/gate.h"

void known_names_init(struct known_names *k)
{
    memset(k, 0, sizeof *k);
    pthread_mutex_init(&k->locked.lock, NULL);
}

void known_names_deinit(struct known_names *k)
{
    pthread_mutex_destroy(&k->locked.lock);
}

/* Returns whether this caller must list the names, because nobody has done so for KNOWN_NAMES_SECONDS. */
static bool take_turn(struct known_names *k)
{
    const int64_t now = os_now_ns();
    pthread_mutex_lock(&k->locked.lock);
    const bool mine =
        k->locked.asked_ns == 0 || now - k->locked.asked_ns > (int64_t)KNOWN_NAMES_SECONDS * 1000000000;
    if (mine)
        k->locked.asked_ns = now;
    pthread_mutex_unlock(&k->locked.lock);
    return mine;
}

static void refresh_names(struct call *call, struct known_names *k, struct store *store)
{
    struct index_names found;
    struct call child;
    call_child(call, &child, call->arena);
    call_limit_ms(&child, KNOWN_NAMES_LIST_MS);
    const enum dp_status status = index_list(&child, store, span_str(""), span_str(""), KNOWN_NAMES_MAX, &found);
    call_merge(call, &child); /* adds the costs alone, because the call already has an error */
    if (status != DP_OK)
        return;
    pthread_mutex_lock(&k->locked.lock);
    k->locked.count = 0;
    k->locked.more = found.truncated;
    for (size_t i = 0; i < found.count && i < KNOWN_NAMES_MAX; i++) {
        if (found.names[i].len > INDEX_NAME_MAX)
            continue;
        memcpy(k->locked.names[k->locked.count], found.names[i].data, found.names[i].len);
        k->locked.lens[k->locked.count++] = found.names[i].len;
    }
    pthread_mutex_unlock(&k->locked.lock);
}

void known_names_tell(struct call *call, struct known_names *k, struct store *store)
{
    struct dp_error *error = &call->error;
    char list[DP_ERROR_MESSAGE_MAX / 2] = "";
    size_t len = 0;
    if (take_turn(k))
        refresh_names(call, k, store);
    pthread_mutex_lock(&k->locked.lock);
    /* "…" tells that more names exist, so only callers who may see all names get it. */
    bool more = k->locked.more && gate_sees(call, span_str(""));
    for (size_t i = 0; i < k->locked.count; i++) {
        const struct span name = span_of(k->locked.names[i], k->locked.lens[i]);
        if (!gate_sees(call, name))
            continue;
        if (name.len + 3 > sizeof list - len) {
            more = true;
            continue;
        }
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%.*s", len ? ", " : "", SPAN_FMT(name));
    }
    pthread_mutex_unlock(&k->locked.lock);
    if (len > 0)
        call_fail(call, error->status, "%s; there %s %s%s", error->message,
                  strchr(list, ',') || more ? "are" : "is", list, more ? ", …" : "");
}
