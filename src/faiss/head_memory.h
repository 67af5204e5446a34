/* faiss/head_memory.h: a bound on the memory that open files' heads take together: centroids, tables of codes and
 * lists, id maps. For those who open files that others name. Thread-safe. */
#ifndef FAISS_HEAD_MEMORY_H
#define FAISS_HEAD_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct faiss_head_memory {
    uint64_t max; /* bytes */
    _Atomic uint64_t used;
};

/* False when so many bytes are not left. */
static inline bool faiss_head_memory_take(struct faiss_head_memory *memory, uint64_t bytes)
{
    uint64_t used = atomic_load(&memory->used);
    do
        if (bytes > memory->max - used)
            return false;
    while (!atomic_compare_exchange_weak(&memory->used, &used, used + bytes));
    return true;
}

static inline void faiss_head_memory_give(struct faiss_head_memory *memory, uint64_t bytes)
{
    atomic_fetch_sub(&memory->used, bytes);
}

#endif
