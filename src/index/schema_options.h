/* index/schema_options.h: the index options of an attribute, as turbopuffer names them.
 *
 *   filterable         true or false; without it true, but false beside one of the next four
 *   full_text_search   true or an object: tokenizer, language, stemming, remove_stopwords, case_sensitive,
 *                      ascii_folding, max_token_length, k1, b, k3
 *   regex, glob, fuzzy true
 *   ann                true or {"distance_metric": …}: of vectors
 *   embed              the name of a model, or {"model": …, "attribute": …, "dims": …, "dtype": …}: of strings
 *
 * The manifest keeps them as one JSON object with the keys in this order, without those that are off.
 */
#ifndef INDEX_SCHEMA_OPTIONS_H
#define INDEX_SCHEMA_OPTIONS_H

#include "base/arena.h"
#include "base/error.h"
#include "filter/attribute.h"
#include "index/index.h"

/* Reads the options that the JSON object `config` names, beside "type", over those that the attribute has, and
 * sets options (in `arena`), unfiltered and checked. `in_place`: the schema has the attribute already, so some
 * options may not change. Fails with DP_INVALID (an unknown option, a wrong value, an option for another type, a
 * change that is not allowed), DP_UNSUPPORTED or DP_NOMEM. */
enum dp_status schema_set_options(struct attribute *attribute, struct span config, bool in_place,
                                  struct arena *arena, struct dp_error *error);
/* Sets *metric to the distance metric that the option "ann" gives. Returns false if it gives none. */
bool schema_ann_metric(const struct attribute *attribute, enum index_metric *metric);
/* Finds an option of the attribute; *value is its JSON. Returns false if it is not set. */
bool schema_option(const struct attribute *attribute, const char *name, struct span *value);

#endif
