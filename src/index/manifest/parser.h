/* index/manifest/parser.h: what the files that parse a manifest share. */
#ifndef INDEX_PARSER_H
#define INDEX_PARSER_H

#include "base/json.h"
#include "index/manifest/format.h"

/* A parse of one manifest. */
struct manifest_parser {
    struct json_reader r;
    struct manifest *m;
    struct arena *arena;
    bool nomem;
};

/* Returns the position of the key in `fields`, or -1. Rejects an unknown or repeated key. Marks it in *seen. */
int parser_field(struct manifest_parser *p, struct span key, const char *const *fields, int count, unsigned *seen);
/* Rejects a JSON object that lacks a field that is not in the mask `optional`. */
void parser_all_seen(struct manifest_parser *p, const char *const *fields, int count, unsigned seen,
                     unsigned optional);
uint64_t parser_number(struct manifest_parser *p);
/* Reads a string of at most `max` bytes into the manifest's arena. Rejects a longer one. */
struct span parser_short_text(struct manifest_parser *p, size_t max);
void parser_ulid(struct manifest_parser *p, struct ulid *out);

#endif
