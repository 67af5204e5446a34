/* sections.c: the optional sections of a segment, in the order in which they are written. */
#include "index/load/sections.h"

#include "index/load/centroids.h"
#include "index/load/columns.h"
#include "index/load/first_codes.h"
#include "index/load/words.h"

enum dp_status load_write_sections(struct call *call, const struct segment_build *b, struct segment_writer *w)
{
    enum dp_status status = load_write_first_codes(call, b, w);
    if (status == DP_OK)
        status = load_write_centroids(call, b, w);
    if (status == DP_OK)
        status = load_write_words(call, b, w);
    return status == DP_OK ? load_write_columns(call, b, w) : status;
}
