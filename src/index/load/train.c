/* train.c: chooses samples of the documents of a segment.
 *
 * Documents lie in frames of 8 KiB, so that a hit costs few bytes. A short frame has few repetitions, so it
 * compresses badly; a dictionary makes up for that. Over descriptions of Debian packages, frames of 8 KiB with a
 * dictionary take as many bytes as frames of 32 KiB without one, and a hit reads a quarter as many. Each reader of
 * the segment reads the dictionary, so it must be small beside the documents.
 */
#include "index/load/train.h"

#include "base/alloc.h"

enum {
    SHARE = 32, /* a dictionary has at most 1/32 of the documents' bytes */
    SAMPLES = 2000,
    SAMPLE_MAX = 2048, /* bytes of one document */
    SAMPLES_BYTES_MAX = SAMPLES * SAMPLE_MAX
};

enum dp_status load_train_dictionary(struct call *call, const struct segment_build *b, struct segment_writer *w)
{
    const struct waiting_rows *waiting = &b->loader->waiting;
    size_t max = b->documents.len / SHARE, step = waiting->count / SAMPLES + 1, count = 0;
    if (max > SEGMENT_DICTIONARY_MAX)
        max = SEGMENT_DICTIONARY_MAX;
    struct buffer samples;
    buffer_init(&samples, SAMPLES_BYTES_MAX);
    size_t *sizes = mem_calloc(SAMPLES, sizeof *sizes);
    enum dp_status status = sizes ? DP_OK : call_nomem(call, "a dictionary");
    for (size_t r = 0; r < waiting->count && status == DP_OK; r += step) {
        const struct waiting_row *row = &waiting->rows[b->order[r]];
        sizes[count] = row->document_len < SAMPLE_MAX ? row->document_len : SAMPLE_MAX;
        buffer_append(&samples, span_of(b->documents.data + row->document, sizes[count++]));
        status = buffer_check(&samples, "a dictionary", &call->error);
    }
    if (status == DP_OK)
        status = segment_write_dictionary(call, w, buffer_span(&samples), sizes, count, max);
    buffer_deinit(&samples);
    mem_free(sizes);
    return status;
}
