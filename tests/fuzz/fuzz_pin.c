/* fuzz_pin.c: any bytes as a .pin object. The target corrects the checksum, and takes the ULIDs of the pin from the
 * bytes, to reach the parser behind them. Checked beyond memory safety: an accepted object, written again, gives
 * equal bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "index/manifest/pins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct manifest_pin *pin, const struct pinned_object *objects, size_t count,
                        struct span bytes)
{
    struct buffer out;
    buffer_init(&out, PIN_LEN_MAX);
    pin_write(pin, objects, count, &out);
    if (out.status == DP_OK && !span_equal(buffer_span(&out), bytes))
        abort();
    buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest_pin pin = {0};
    struct pinned_object *objects;
    struct arena arena;
    size_t count;
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (size >= PIN_FIXED_LEN) {
        memcpy(pin.id.text, copy + 16, ULID_LEN);
        memcpy(pin.incarnation.text, copy + 16 + ULID_LEN, ULID_LEN);
        uint64_t sum = checksum64(span_of(copy, size - 8));
        for (size_t i = 0; i < 8; i++)
            copy[size - 8 + i] = (uint8_t)(sum >> (8 * i));
    }
    arena_init(&arena, 16 << 20);
    if (pin_parse(span_of(copy, size), &pin, &arena, &objects, &count, NULL) == DP_OK)
        write_again(&pin, objects, count, span_of(copy, size));
    arena_deinit(&arena);
    free(copy);
    return 0;
}
