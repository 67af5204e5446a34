/* text/word_break.h: where words end, by UAX #29 (Unicode 15.0), section 4.1. */
#ifndef TEXT_WORD_BREAK_H
#define TEXT_WORD_BREAK_H

#include <stdint.h>

/* What a segment holds: the bits WORD_PICTOGRAPH, WORD_ALPHANUMERIC and WORD_IDEOGRAPH of its characters; also
 * WORD_PICTOGRAPH for a flag. */
struct word_segment {
    const uint8_t *end;
    uint8_t holds;
};

/* Returns the segment that begins at `at`, which is before `end` and a boundary. */
struct word_segment word_segment_at(const uint8_t *at, const uint8_t *end);

#endif
