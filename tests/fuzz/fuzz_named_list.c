/* fuzz_named_list.c: any bytes as a list of values with names. The pieces are parts of the list, in order, and together
 * with the '=' of each name and the commas between them they are the whole list. */
#include "config/named_list.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);
    struct named_value piece;
    size_t bytes = 0, count = 0;
    const bool has_name = named_list_has_name(rest);
    while (named_list_next(&rest, &piece)) {
        bytes += piece.name.len + (piece.name.len > 0) + piece.value.len + (count > 0);
        if (count++ == 0 ? has_name != (piece.name.len > 0) : piece.name.len == 0)
            abort();
        if (piece.value.data + piece.value.len > data + size)
            abort();
    }
    if (bytes != size || (count == 0) != (size == 0))
        abort();
    return 0;
}
