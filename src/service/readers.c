/* readers.c: keeps namespaces open. */
#include "service/readers.h"

#include "base/alloc.h"
#include "os/clock.h"

static void close_reader(struct slot *slot)
{
    struct reader_slot *open = (struct reader_slot *)slot;
    index_close(open->reader);
    mem_free(open);
}

enum dp_status readers_init(struct readers *r, size_t max, struct dp_error *error)
{
    r->trust_ns = READERS_TRUST_NS;
    return slots_init(&r->slots, max, close_reader, error);
}

void readers_deinit(struct readers *r)
{
    slots_deinit(&r->slots);
}

enum dp_status readers_borrow(struct call *call, struct readers *r, struct store *store, enum gate_use use,
                              struct span name, struct reader_slot **out)
{
    *out = NULL;
    if (index_check_name(name, &call->error) != DP_OK || gate_enter(call, use, name) != DP_OK)
        return call->error.status;
    *out = (struct reader_slot *)slots_borrow(&r->slots, name, true);
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
    memcpy(slot->name, name.data, name.len);
    slot->slot.key = span_of(slot->name, name.len);
    *out = (struct reader_slot *)slots_add(&r->slots, &slot->slot);
    return DP_OK;
}

void readers_forget(struct readers *r, struct span name)
{
    struct slot *slot = slots_borrow(&r->slots, name, true);
    if (slot)
        slots_give_back(&r->slots, slot, true);
}

struct reader_slot *readers_borrow_open(struct readers *r, struct span name)
{
    return (struct reader_slot *)slots_borrow(&r->slots, name, false);
}

/* Names that readers_names() copies. */
struct name_copies {
    struct arena *arena;
    struct span *names; /* [max] */
    size_t count, max;
};

static bool copy_name(void *context, const struct slot *slot)
{
    struct name_copies *c = context;
    if (c->count == c->max)
        return false;
    c->names[c->count] = arena_copy(c->arena, slot->key);
    if (!c->names[c->count].data)
        return false;
    c->count++;
    return true;
}

size_t readers_names(struct readers *r, struct arena *arena, struct span *names, size_t max)
{
    struct name_copies c = {.arena = arena, .names = names, .max = max};
    slots_for_each(&r->slots, copy_name, &c);
    return c.count;
}

void readers_give_back(struct readers *r, struct reader_slot *slot, bool forget)
{
    slots_give_back(&r->slots, &slot->slot, forget);
}
