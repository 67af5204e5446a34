/* slots.c: the table of things that stay open between calls. */
#include "service/slots.h"

#include "base/alloc.h"

enum dp_status slots_init(struct slots *t, size_t max, slot_close_fn *close, struct dp_error *error)
{
    *t = (struct slots){.max = max, .close = close};
    pthread_mutex_init(&t->locked.lock, NULL);
    t->locked.list = mem_calloc(max, sizeof(struct slot *));
    return t->locked.list ? DP_OK : dp_fail_nomem(error, "a table of open things");
}

void slots_deinit(struct slots *t)
{
    if (!t->close)
        return;
    for (size_t i = 0; i < t->locked.count; i++)
        t->close(t->locked.list[i]);
    mem_free(t->locked.list);
    pthread_mutex_destroy(&t->locked.lock);
    *t = (struct slots){0};
}

/* ---- the lock is held ------------------------------------------------------------------------------------- */

static struct slot *find_slot(const struct slots *t, struct span key)
{
    for (size_t i = 0; i < t->locked.count; i++) {
        if (span_equal(t->locked.list[i]->key, key))
            return t->locked.list[i];
    }
    return NULL;
}

static void borrow_slot(struct slots *t, struct slot *slot)
{
    slot->locked.borrowed++;
    slot->locked.used = ++t->locked.clock;
}

static void list_slot(struct slots *t, struct slot *slot)
{
    slot->locked.listed = true;
    t->locked.list[t->locked.count++] = slot;
}

static void unlist_slot(struct slots *t, struct slot *slot)
{
    for (size_t i = 0; i < t->locked.count; i++) {
        if (t->locked.list[i] != slot)
            continue;
        t->locked.list[i] = t->locked.list[--t->locked.count];
        break;
    }
    slot->locked.listed = false;
}

/* Removes the least recently used slot that nobody has borrowed from the table. Returns NULL if there is none. */
static struct slot *unlist_oldest(struct slots *t)
{
    struct slot *oldest = NULL;
    for (size_t i = 0; i < t->locked.count; i++) {
        struct slot *slot = t->locked.list[i];
        if (slot->locked.borrowed == 0 && (!oldest || slot->locked.used < oldest->locked.used))
            oldest = slot;
    }
    if (oldest)
        unlist_slot(t, oldest);
    return oldest;
}

/* ---- the table -------------------------------------------------------------------------------------------- */

struct slot *slots_borrow(struct slots *t, struct span key, bool counts)
{
    pthread_mutex_lock(&t->locked.lock);
    struct slot *found = find_slot(t, key);
    if (found && !found->locked.ready)
        found = NULL;
    if (found && counts)
        borrow_slot(t, found);
    else if (found)
        found->locked.borrowed++;
    pthread_mutex_unlock(&t->locked.lock);
    return found;
}

struct slot *slots_add(struct slots *t, struct slot *slot)
{
    struct slot *closing = slot;
    pthread_mutex_lock(&t->locked.lock);
    struct slot *chosen = find_slot(t, slot->key);
    if (!chosen) {
        chosen = slot;
        slot->locked.ready = true;
        closing = t->locked.count == t->max ? unlist_oldest(t) : NULL;
        if (t->locked.count < t->max)
            list_slot(t, slot);
    }
    borrow_slot(t, chosen);
    pthread_mutex_unlock(&t->locked.lock);
    if (closing)
        t->close(closing);
    return chosen;
}

enum dp_status slots_reserve(struct slots *t, struct slot *slot)
{
    pthread_mutex_lock(&t->locked.lock);
    enum dp_status status = find_slot(t, slot->key) ? DP_EXISTS : t->locked.count == t->max ? DP_FULL : DP_OK;
    if (status == DP_OK) {
        list_slot(t, slot);
        borrow_slot(t, slot);
    }
    pthread_mutex_unlock(&t->locked.lock);
    return status;
}

void slots_ready(struct slots *t, struct slot *slot)
{
    pthread_mutex_lock(&t->locked.lock);
    slot->locked.ready = true;
    pthread_mutex_unlock(&t->locked.lock);
}

void slots_give_back(struct slots *t, struct slot *slot, bool forget)
{
    pthread_mutex_lock(&t->locked.lock);
    slot->locked.borrowed--;
    if (forget && slot->locked.listed)
        unlist_slot(t, slot);
    const bool close = !slot->locked.listed && slot->locked.borrowed == 0;
    pthread_mutex_unlock(&t->locked.lock);
    if (close)
        t->close(slot);
}

void slots_for_each(struct slots *t, bool (*fn)(void *context, const struct slot *slot), void *context)
{
    pthread_mutex_lock(&t->locked.lock);
    for (size_t i = 0; i < t->locked.count; i++) {
        if (t->locked.list[i]->locked.ready && !fn(context, t->locked.list[i]))
            break;
    }
    pthread_mutex_unlock(&t->locked.lock);
}
