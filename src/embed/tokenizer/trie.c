/* tokenizer/trie.c: builds and checks the double array of tokenizer/trie.h.
 *
 * The builder sorts the keys. Each node gets the range of keys that share its path. The node's children get the
 * first base where the nodes of all children are free. Free nodes form a chain. To bound the search, the builder
 * removes the oldest blocks of 256 nodes from the chain, as darts-clone does. The builder does not recurse, because
 * keys may be long.
 */
#include "embed/tokenizer/trie.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/array.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "nodes are used where they lie, little-endian");

enum {
    BLOCK = 256,
    OPEN_BLOCKS = 16, /* the search for free nodes visits only this many of the newest blocks */
    NODES_MAX = 1 << 30
};

static const uint32_t nowhere = UINT32_MAX;

/* A node during building. Free nodes form a chain in ascending order. */
struct trie_slot {
    uint32_t base, word;
    uint32_t next_free, previous_free;
    bool used, is_base;
};

/* Keys number `low` to high - 1. They share their first `depth` bytes, which lead to `node`. */
struct key_range {
    size_t low, high, depth;
    uint32_t node;
};

struct trie_builder {
    const struct trie_key *keys;
    struct trie_slot *slots;
    uint32_t count;
    size_t capacity;
    uint32_t first_free, last_free;
    struct key_range *todo; /* a stack; its ranges are disjoint, so it never holds more ranges than keys */
    size_t todo_count;
};

static int compare_keys(const void *a, const void *b)
{
    const struct trie_key *x = a, *y = b;
    int order = span_compare(x->bytes, y->bytes);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static size_t drop_repeated(struct trie_key *keys, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (i + 1 == count || !span_equal(keys[i].bytes, keys[i + 1].bytes))
            keys[kept++] = keys[i];
    return kept;
}

static void unlink_free(struct trie_builder *b, uint32_t i)
{
    struct trie_slot *s = &b->slots[i];
    if (s->previous_free == nowhere)
        b->first_free = s->next_free;
    else
        b->slots[s->previous_free].next_free = s->next_free;
    if (s->next_free == nowhere)
        b->last_free = s->previous_free;
    else
        b->slots[s->next_free].previous_free = s->previous_free;
}

/* Adds 256 free nodes at the end, and closes the oldest open block. */
static enum dp_status add_block(struct trie_builder *b, struct dp_error *error)
{
    if (b->count > NODES_MAX - BLOCK)
        return dp_fail(error, DP_TOO_LARGE, "a vocabulary of more than %d trie nodes", NODES_MAX);
    struct trie_slot *slots = array_reserve(b->slots, b->count, &b->capacity, sizeof *slots, 4 * BLOCK);
    if (!slots)
        return dp_fail_nomem(error, "the vocabulary's trie");
    b->slots = slots;
    for (uint32_t i = b->count; i < b->count + BLOCK; i++) {
        b->slots[i] = (struct trie_slot){.next_free = nowhere, .previous_free = b->last_free};
        if (b->last_free == nowhere)
            b->first_free = i;
        else
            b->slots[b->last_free].next_free = i;
        b->last_free = i;
    }
    b->count += BLOCK;
    if (b->count > (OPEN_BLOCKS + 1) * BLOCK)
        while (b->first_free < b->count - OPEN_BLOCKS * BLOCK)
            unlink_free(b, b->first_free);
    return DP_OK;
}

static void take_slot(struct trie_builder *b, uint32_t i, uint8_t label)
{
    unlink_free(b, i);
    b->slots[i].used = true;
    b->slots[i].word = 0x100U | label;
}

static bool base_fits(const struct trie_builder *b, uint32_t base, const uint8_t *labels, size_t count)
{
    if (b->slots[base].is_base)
        return false;
    for (size_t i = 0; i < count; i++)
        if (b->slots[base ^ labels[i]].used)
            return false;
    return true;
}

/* Finds a base for children with these labels and takes their nodes. */
static enum dp_status place_children(struct trie_builder *b, const uint8_t *labels, size_t count, uint32_t *base,
                                     struct dp_error *error)
{
    uint32_t found = nowhere;
    for (uint32_t i = b->first_free; i != nowhere && found == nowhere; i = b->slots[i].next_free)
        if (base_fits(b, i ^ labels[0], labels, count))
            found = i ^ labels[0];
    if (found == nowhere) {
        found = b->count;
        enum dp_status status = add_block(b, error);
        if (status)
            return status;
    }
    b->slots[found].is_base = true;
    for (size_t i = 0; i < count; i++)
        take_slot(b, found ^ labels[i], labels[i]);
    *base = found;
    return DP_OK;
}

/* Makes the children of one node and pushes their ranges. */
static enum dp_status expand_node(struct trie_builder *b, struct key_range r, struct dp_error *error)
{
    if (b->keys[r.low].bytes.len == r.depth) {
        b->slots[r.node].word |= (b->keys[r.low].value + 1) << 9;
        r.low++;
    }
    uint8_t labels[BLOCK];
    size_t starts[BLOCK + 1], count = 0;
    for (size_t i = r.low; i < r.high; i++) {
        uint8_t label = b->keys[i].bytes.data[r.depth];
        if (count == 0 || labels[count - 1] != label) {
            labels[count] = label;
            starts[count++] = i;
        }
    }
    if (count == 0)
        return DP_OK;
    starts[count] = r.high;
    uint32_t base;
    enum dp_status status = place_children(b, labels, count, &base, error);
    if (status)
        return status;
    b->slots[r.node].base = base;
    for (size_t i = count; i-- > 0;)
        b->todo[b->todo_count++] = (struct key_range){starts[i], starts[i + 1], r.depth + 1, base ^ labels[i]};
    return DP_OK;
}

enum dp_status trie_build(struct trie_key *keys, size_t *count, struct buffer *out, struct dp_error *error)
{
    if (*count == 0)
        return DP_OK;
    qsort(keys, *count, sizeof *keys, compare_keys);
    *count = drop_repeated(keys, *count);

    struct trie_builder b = {.keys = keys, .first_free = nowhere, .last_free = nowhere};
    size_t bytes;
    b.todo = mem_mul_ok(*count + 1, sizeof *b.todo, &bytes) ? mem_alloc(bytes) : NULL;
    enum dp_status status = b.todo ? add_block(&b, error) : dp_fail_nomem(error, "the vocabulary's trie");
    if (status)
        goto out;
    while (b.first_free != nowhere) /* the first block holds only the root */
        unlink_free(&b, b.first_free);
    b.slots[TRIE_ROOT].used = true;
    b.todo[b.todo_count++] = (struct key_range){0, *count, 0, TRIE_ROOT};
    while (b.todo_count > 0 && !status)
        status = expand_node(&b, b.todo[--b.todo_count], error);
    if (status)
        goto out;
    for (uint32_t i = 0; i < b.count; i++) {
        buffer_u32(out, b.slots[i].base);
        buffer_u32(out, b.slots[i].word);
    }
out:
    mem_free(b.slots);
    mem_free(b.todo);
    return status;
}

bool trie_check(struct trie trie, uint32_t value_limit)
{
    if (trie.count % BLOCK != 0)
        return false;
    bool good = true;
    for (uint32_t i = 0; i < trie.count; i++) {
        uint64_t node = trie_node(trie, i);
        uint32_t value = (uint32_t)(node >> 41); /* the node's value plus 1 */
        good &= (uint32_t)node < trie.count && value <= value_limit;
    }
    return good;
}

uint32_t trie_descend(struct trie trie, struct span bytes)
{
    uint32_t at = TRIE_ROOT;
    for (size_t i = 0; i < bytes.len; i++) {
        at = (uint32_t)trie_node(trie, at) ^ bytes.data[i];
        if ((trie_node(trie, at) >> 32 & 0x1ff) != (0x100U | bytes.data[i]))
            return TRIE_DEAD;
    }
    return at;
}
