/* sim_trap.c: holds requests until the moment that a rule of the log is about. */
#include "sim_trap.h"

#include <string.h>

#include "base/checksum.h"

static const int64_t MINUTE_NS = 60 * INT64_C(1000000000);
enum { TRAP_MINUTES = 240, TRAP_WAITS_A_MINUTE = 4 };

static bool is_on(const struct sim_store *store)
{
    return store->faults.traps && !store->calm;
}

static bool ends_with(struct span key, const char *end)
{
    size_t len = strlen(end);
    return key.len >= len && memcmp(key.data + key.len - len, end, len) == 0;
}

static bool is_entry(struct span key)
{
    static const char FOLDER[] = "/wal/";
    enum { NUMBER_LEN = 20, FOLDER_LEN = sizeof FOLDER - 1 };
    return key.len > NUMBER_LEN + FOLDER_LEN &&
           memcmp(key.data + key.len - NUMBER_LEN - FOLDER_LEN, FOLDER, FOLDER_LEN) == 0;
}

/* ---- log entries --------------------------------------------------------------------------------------- */

/* Holds the next look of the current operation at `key`. */
static void hold_look(struct sim_node *node, struct span key, struct span known)
{
    struct sim_hold *hold = &node->hold;
    *hold = (struct sim_hold){.op = node->store->sim->current->op, .key_len = key.len, .known = checksum64(known)};
    memcpy(hold->key, key.data, key.len);
}

enum sim_trap trap_put(struct sim_node *node, const struct store_put *put)
{
    struct sim_store *store = node->store;
    struct sim_hold *kept = &store->kept;
    void *op = store->sim->current->op;
    if (!is_on(store) || store->held || !op || !is_entry(put->key) || put->condition != STORE_IF_ABSENT)
        return TRAP_NONE;
    bool is_free = sim_store_get(store, put->key).data == NULL;
    if (kept->op && is_free && kept->op != op && span_equal(span_of(kept->key, kept->key_len), put->key)) {
        kept->op = NULL;
        hold_look(node, put->key, put->body);
        return TRAP_LOSE;
    }
    if (!is_free || kept->op == op || !sim_chance(store->sim, 1, 6))
        return TRAP_NONE;
    *kept = (struct sim_hold){.op = op, .key_len = put->key.len};
    memcpy(kept->key, put->key.data, put->key.len);
    hold_look(node, put->key, put->body);
    return TRAP_KEEP;
}

void trap_hold_read(struct sim_node *node, struct span key)
{
    struct sim_store *store = node->store;
    struct sim_hold *hold = &node->hold;
    if (!hold->op || hold->op != store->sim->current->op || !span_equal(span_of(hold->key, hold->key_len), key))
        return;
    sim_note(store->sim, "the look at %.*s is held", SPAN_FMT(key));
    for (int waits = 0; waits < TRAP_MINUTES * TRAP_WAITS_A_MINUTE && is_on(store); waits++) {
        struct span now = sim_store_get(store, key);
        if (now.data && checksum64(now) != hold->known)
            break;
        sim_sleep(store->sim, MINUTE_NS / TRAP_WAITS_A_MINUTE);
    }
    hold->op = NULL;
}

bool trap_is_over(struct sim_store *store, struct span key, bool *taken)
{
    bool is_taken = sim_store_get(store, key).data != NULL;
    *taken = *taken || is_taken;
    return !is_on(store) || (*taken && !is_taken);
}

/* ---- branchings ---------------------------------------------------------------------------------------- */

void trap_hold_put(struct sim_node *node, struct span key)
{
    struct sim *sim = node->store->sim;
    if (!is_on(node->store) || !node->branches || !ends_with(key, "/manifest.json") || !sim_chance(sim, 1, 2))
        return;
    sim_note(sim, "the put of %.*s is held", SPAN_FMT(key));
    const char *source = node->store->held = node->branches;
    sim_sleep(sim, sim_span(sim, 40 * MINUTE_NS, 8 * 60 * MINUTE_NS));
    if (node->store->held == source)
        node->store->held = NULL;
}
