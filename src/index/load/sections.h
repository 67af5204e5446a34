/* index/load/sections.h: writes the optional sections of a segment that a load builds. */
#ifndef INDEX_LOAD_SECTIONS_H
#define INDEX_LOAD_SECTIONS_H

#include "index/load/build.h"

/* Writes the optional sections, after the rows and ids of the segment. */
enum dp_status load_write_sections(struct call *call, const struct segment_build *b, struct segment_writer *w);

#endif
