/* index/manifest/parse_branches.h: parses the fields of a manifest that concern branches. */
#ifndef INDEX_PARSE_BRANCHES_H
#define INDEX_PARSE_BRANCHES_H

#include "index/manifest/parser.h"

void parser_pins(struct manifest_parser *p);
void parser_owners(struct manifest_parser *p);
/* Reads the place of an owner in "owners". manifest_check() checks that it is at most the number of owners. */
uint32_t parser_owner_place(struct manifest_parser *p);

#endif
