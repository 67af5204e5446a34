/* embed/tokenizer/trie.h: a map from byte strings to values, as a double array that can lie in a file.
 *
 * A node is eight little-endian bytes, two numbers of 32 bits:
 *
 *   base   the child by byte c, if there is one, is node base ^ c
 *   word   bits 0..7   the byte of the edge that leads to this node
 *          bit 8       1: the node is in use
 *          bits 9..31  the node's value + 1; 0: the path from the root to the node is not a member
 *
 * Node base ^ c is the child by c if bits 0..8 of its word are 0x100 | c. No two nodes with children share a base,
 * so this test suffices. Node 0 is the root. The rest of the first 256 nodes stay empty. A node without children
 * has base 0, which leads to those empty nodes. The number of nodes is a multiple of 256 and every base is
 * smaller, so no walk leaves a checked trie.
 *
 * Source: J. Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989. The xor is from
 * Yata's darts-clone.
 */
#ifndef EMBED_TOKENIZER_TRIE_H
#define EMBED_TOKENIZER_TRIE_H

#include "base/buffer.h"
#include "base/span.h"

enum {
    TRIE_NODE_BYTES = 8,
    TRIE_ROOT = 0,
    TRIE_DEAD = 1, /* an empty node: no walk goes on from it */
    TRIE_VALUE_MAX = (1 << 23) - 2
};

struct trie {
    const uint8_t *nodes; /* at any alignment; NULL if `count` is 0 */
    uint32_t count;       /* number of nodes; 0: an empty map */
};

struct trie_key {
    struct span bytes; /* not empty */
    uint32_t value;    /* ≤ TRIE_VALUE_MAX */
    uint32_t order;    /* position in the source: of equal keys, trie_build keeps the last */
};

/* Sorts the keys, keeps only the last of equal keys, sets *count to the number that it kept, and appends the nodes
 * to `out`. Appends nothing if there are no keys. */
enum dp_status trie_build(struct trie_key *keys, size_t *count, struct buffer *out, struct dp_error *error);

/* Returns whether walks over these untrusted nodes are safe, and all values are below value_limit. */
bool trie_check(struct trie trie, uint32_t value_limit);

static inline uint64_t trie_node(struct trie trie, uint32_t i)
{
    uint64_t node;
    memcpy(&node, trie.nodes + (size_t)i * TRIE_NODE_BYTES, sizeof node);
    return node;
}

/* Returns the node to which `bytes` lead from the root, or TRIE_DEAD. The trie must not be empty. */
uint32_t trie_descend(struct trie trie, struct span bytes);

/* Finds the longest member that begins at p and ends no later than `end`. Returns its length and sets *value; 0:
 * no member. The walk starts at node `from`: a node below the root finds the members with its prefix, by the bytes
 * after that prefix. */
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
