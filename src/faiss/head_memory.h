/* faiss/head_memory.h: bounds the memory that the heads of all open files take together: centroids, tables of
 * codes and lists, id maps. Servers need it, because they open files that clients name. Thread-safe. */
#ifndef FAISS_HEAD_MEMORY_H
#define FAISS_HEAD_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct faiss_head_memory {
    uint64_t max; /* bytes */
    _Atomic uint64_t used;
};

/* Reserves bytes. Returns false, and reserves nothing, if fewer are left. */
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
