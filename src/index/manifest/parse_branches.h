/* index/manifest/parse_branches.h: what the parser of a manifest needs for branches. */
#ifndef INDEX_PARSE_BRANCHES_H
#define INDEX_PARSE_BRANCHES_H

#include "index/manifest/parser.h"

void parser_pins(struct manifest_parser *p);
void parser_owners(struct manifest_parser *p);
/* Reads the place of an owner in "owners". manifest_check() compares it with their number. */
uint32_t parser_owner_place(struct manifest_parser *p);

#endif
