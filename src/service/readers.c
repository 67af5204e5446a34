/* readers.c: keeps namespaces open, and closes the least recently used. */
#include "service/readers.h"

#include "base/alloc.h"
#include "os/clock.h"

enum dp_status readers_init(struct readers *r, size_t max, struct dp_error *error)
{
    *r = (struct readers){.max = max, .trust_ns = READERS_TRUST_NS};
    pthread_mutex_init(&r->locked.lock, NULL);
    r->locked.slots = mem_calloc(max, sizeof(struct reader_slot *));
    return r->locked.slots ? DP_OK : dp_fail_nomem(error, "the table of open namespaces");
}

static void close_slot(struct reader_slot *slot)
{
    if (!slot)
        return;
    index_close(slot->reader);
    mem_free(slot);
}

void readers_deinit(struct readers *r)
{
    for (size_t i = 0; i < r->locked.count; i++)
        close_slot(r->locked.slots[i]);
    mem_free(r->locked.slots);
    pthread_mutex_destroy(&r->locked.lock);
}

/* Borrows the slot of a name. Returns NULL when no slot in the table has the name. The caller holds the lock. */
static struct reader_slot *borrow_listed(struct readers *r, struct span name)
{
    for (size_t i = 0; i < r->locked.count; i++) {
        struct reader_slot *slot = r->locked.slots[i];
        if (!span_equal(span_of(slot->name, slot->name_len), name))
            continue;
        slot->locked.borrowed++;
        slot->locked.used = ++r->locked.clock;
        return slot;
    }
    return NULL;
}

static void unlist_slot(struct readers *r, struct reader_slot *slot)
{
    for (size_t i = 0; i < r->locked.count; i++) {
        if (r->locked.slots[i] != slot)
            continue;
        r->locked.slots[i] = r->locked.slots[--r->locked.count];
        break;
    }
    slot->locked.listed = false;
}

/* Adds a new slot to the table. If the table is full, first removes the least recently used slot that nobody
 * borrows, and returns it. If somebody borrows each slot, leaves the new one out and returns NULL. The caller
 * holds the lock. */
static struct reader_slot *list_slot(struct readers *r, struct reader_slot *slot)
{
    struct reader_slot *oldest = NULL;
    if (r->locked.count == r->max) {
        for (size_t i = 0; i < r->locked.count; i++)
            if (r->locked.slots[i]->locked.borrowed == 0 &&
                (!oldest || r->locked.slots[i]->locked.used < oldest->locked.used))
                oldest = r->locked.slots[i];
        if (!oldest)
            return NULL;
        unlist_slot(r, oldest);
    }
    slot->locked.listed = true;
    r->locked.slots[r->locked.count++] = slot;
    return oldest;
}

enum dp_status readers_borrow(struct call *call, struct readers *r, struct store *store, enum gate_use use,
                              struct span name, struct reader_slot **out)
{
    *out = NULL;
    if (index_check_name(name, &call->error) != DP_OK || gate_enter(call, use, name) != DP_OK)
        return call->error.status;
    pthread_mutex_lock(&r->locked.lock);
    *out = borrow_listed(r, name);
    pthread_mutex_unlock(&r->locked.lock);
    if (*out)
        return DP_OK;

    struct reader_slot *slot = mem_calloc(1, sizeof *slot);
    if (!slot)
        return call_nomem(call, "an open namespace");
    int64_t began = os_now_ns();
    enum dp_status status = index_open(call, store, name, &slot->reader);
    if (status != DP_OK) {
        mem_free(slot);
        return status;
    }
    atomic_init(&slot->fresh_ns, began);
    atomic_init(&slot->alive_ns, began);
    slot->locked.borrowed = 1;
    slot->name_len = name.len;
    memcpy(slot->name, name.data, name.len);

    /* If another thread has opened the namespace meanwhile, borrows that thread's slot and closes ours. */
    struct reader_slot *surplus = slot;
    pthread_mutex_lock(&r->locked.lock);
    *out = borrow_listed(r, name);
    if (!*out) {
        slot->locked.used = ++r->locked.clock;
        surplus = list_slot(r, slot);
        *out = slot;
    }
    pthread_mutex_unlock(&r->locked.lock);
    close_slot(surplus);
    return DP_OK;
}

void readers_forget(struct readers *r, struct span name)
{
    struct reader_slot *slot;
    pthread_mutex_lock(&r->locked.lock);
    slot = borrow_listed(r, name);
    pthread_mutex_unlock(&r->locked.lock);
    if (slot)
        readers_give_back(r, slot, true);
}

struct reader_slot *readers_borrow_open(struct readers *r, struct span name)
{
    struct reader_slot *found = NULL;
    pthread_mutex_lock(&r->locked.lock);
    for (size_t i = 0; i < r->locked.count && !found; i++) {
        struct reader_slot *slot = r->locked.slots[i];
        if (span_equal(span_of(slot->name, slot->name_len), name))
            found = slot;
    }
    if (found)
        found->locked.borrowed++;
    pthread_mutex_unlock(&r->locked.lock);
    return found;
}

size_t readers_names(struct readers *r, struct arena *arena, struct span *names, size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&r->locked.lock);
    for (size_t i = 0; i < r->locked.count && count < max; i++) {
        names[count] = arena_copy(arena, span_of(r->locked.slots[i]->name, r->locked.slots[i]->name_len));
        if (!names[count].data)
            break;
        count++;
    }
    pthread_mutex_unlock(&r->locked.lock);
    return count;
}

void readers_give_back(struct readers *r, struct reader_slot *slot, bool forget)
{
    pthread_mutex_lock(&r->locked.lock);
    slot->locked.borrowed--;
    if (forget && slot->locked.listed)
        unlist_slot(r, slot);
    bool close = !slot->locked.listed && slot->locked.borrowed == 0;
    pthread_mutex_unlock(&r->locked.lock);
    if (close)
        close_slot(slot);
}
