/* fuzz_write_keys.c: any bytes as a .keys object. The target corrects the checksum, to reach the parser behind it.
 * Checked beyond memory safety: an accepted object, written again, has the same bytes; each key is found; a copy that
 * lacks the last byte is refused. */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "index/wal/write_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_keys(const struct key_set *set, const struct manifest *m, struct span bytes)
{
    struct buffer again;
    buffer_init(&again, bytes.len);
    key_set_write(set, &m->keys.id, &m->incarnation, &again);
    if (again.status != DP_OK || !span_equal(buffer_span(&again), bytes))
        abort();
    for (size_t i = 0; i < set->count; i++)
        if (key_set_find(set, set->keys[i].id) != &set->keys[i])
            abort();
    buffer_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_set set;
    struct manifest m;
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        return 0;
    manifest_init(&m);
    if (size)
        memcpy(copy, data, size);
    if (size >= WRITE_KEYS_FIXED_LEN) {
        uint64_t sum = checksum64(span_of(copy, size - 8));
        for (size_t i = 0; i < 8; i++)
            copy[size - 8 + i] = (uint8_t)(sum >> (8 * i));
        ulid_parse(span_of(copy + 16, ULID_LEN), &m.keys.id);
        ulid_parse(span_of(copy + 16 + ULID_LEN, ULID_LEN), &m.incarnation);
        m.keys.count = (size - WRITE_KEYS_FIXED_LEN) / WAL_KEY_LEN;
    }
    if (key_set_parse(span_of(copy, size), &m, &set, NULL) == DP_OK) {
        use_keys(&set, &m, span_of(copy, size));
        key_set_deinit(&set);
        if (key_set_parse(span_of(copy, size - 1), &m, &set, NULL) == DP_OK)
            abort();
    }
    manifest_deinit(&m);
    free(copy);
    return 0;
}
