/* embed/tokenizer/trie.h: a map from byte strings to values, as a double array that can lie in a file.
 *
 * Node i is eight little-endian bytes: `base` (32 bits), then `word` (32 bits): the label of the edge that leads
 * to it in bits 0..7, bit 8 set when the node is in use, and its value + 1 in bits 9..31 (0: the path from the
 * root to the node is not a member). The child of i by byte c is node base ^ c when that node's bits 0..8 are
 * 0x100 | c; no two nodes with children share a base, so this test suffices. Node 0 is the root; the rest of the
 * first 256 nodes stay empty, and a node without children has base 0, which leads there. (J. Aoe, "An Efficient
 * Digital Search Algorithm by Using a Double-Array Structure", 1989; the xor form is that of Yata's darts-clone.)
 * The number of nodes is a multiple of 256 and every base is below it, so no walk leaves a checked trie.
 */
#ifndef EMBED_TOKENIZER_TRIE_H
#define EMBED_TOKENIZER_TRIE_H

#include "base/buffer.h"
#include "base/span.h"

enum {
    TRIE_NODE_BYTES = 8,
    TRIE_ROOT = 0,
    TRIE_DEAD = 1, /* a node that leads nowhere */
    TRIE_VALUE_MAX = (1 << 23) - 2
};

struct trie {
    const uint8_t *nodes; /* any alignment; NULL if count is 0, the empty set */
    uint32_t count;
};

struct trie_key {
    struct span bytes; /* not empty */
    uint32_t value;    /* ≤ TRIE_VALUE_MAX */
    uint32_t order;    /* its place in the source: the last of equal keys wins */
};

/* Sorts the keys, drops all but the last of equal keys (and lowers *count), and appends the nodes to `out`.
 * Appends nothing for an empty set. */
enum dp_status trie_build(struct trie_key *keys, size_t *count, struct buffer *out, struct dp_error *error);

/* Whether walks over untrusted nodes are safe and all values are below value_limit. */
bool trie_check(struct trie trie, uint32_t value_limit);

static inline uint64_t trie_node(struct trie trie, uint32_t i)
{
    uint64_t node;
    memcpy(&node, trie.nodes + (size_t)i * TRIE_NODE_BYTES, sizeof node);
    return node;
}

/* The node that `bytes` lead to from the root, or TRIE_DEAD. The trie is not empty. */
uint32_t trie_descend(struct trie trie, struct span bytes);

/* Finds the longest member that begins at p and ends by `end`. Returns its length (0: no member) and fills *value.
 * Starts at node `from`, so that a caller can look up members with a common prefix without that prefix. */
static inline size_t trie_longest(struct trie trie, uint32_t from, const uint8_t *p, const uint8_t *end,
                                  uint32_t *value)
{
    const uint8_t *start = p, *best = p;
    uint64_t node = trie_node(trie, from);
    while (p < end) {
        uint32_t c = *p;
        node = trie_node(trie, (uint32_t)node ^ c);
        uint32_t word = (uint32_t)(node >> 32);
        if ((word & 0x1ff) != (0x100 | c))
            break;
        p++;
        if (word >> 9) {
            *value = (word >> 9) - 1;
            best = p;
        }
    }
    return (size_t)(best - start);
}

#endif
