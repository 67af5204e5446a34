/* filter/tokens.h: texts that have the tokens of a query (text/analyzer.h).
 *
 *   all        every token of the query, in any order
 *   any        at least one of them
 *   sequence   the tokens next to each other, in their order. Where the settings drop a word of the query, such as a
 *              stop word, any word may stand.
 *
 * The last token may be a prefix, compared as bytes. A query without tokens matches no text.
 */
#ifndef FILTER_TOKENS_H
#define FILTER_TOKENS_H

#include "base/arena.h"
#include "base/error.h"
#include "filter/watch.h"
#include "text/settings.h"

enum { TOKENS_MAX = 1024 }; /* words of a query, dropped ones included */

enum tokens_rule { TOKENS_ALL, TOKENS_ANY, TOKENS_SEQUENCE };

/* The tokens that a query looks for, and how. */
struct tokens_request {
    enum tokens_rule rule;
    bool last_as_prefix;
    const struct text_settings *settings;
    const struct span *texts; /* [count]: cut into words one after another */
    size_t count;
};

struct token_query;

/* What an index of tokens must know of a query. */
struct tokens_shown {
    enum tokens_rule rule;
    const struct text_settings *settings;
    size_t count; /* different tokens, without the prefix */
    bool has_prefix;
    struct span prefix; /* the last token, if it is a prefix */
};
void tokens_show(const struct token_query *tokens, struct tokens_shown *out);
/* Returns token number i of tokens_shown.count. */
struct span tokens_text(const struct token_query *tokens, size_t i);

/* Cuts the texts of a query into `arena`. Fails with DP_INVALID (the message says what is wrong) or DP_NOMEM. */
enum dp_status tokens_parse(struct arena *arena, const struct tokens_request *request, struct token_query **out,
                            struct dp_error *error);

/* Returns whether a value matches: a JSON string, or an array of them. A sequence lies within one element; the other
 * tokens may be in several. The watch may end the match. Thread-safe, if each thread has its own watch. */
bool tokens_match(const struct token_query *tokens, struct span value, struct filter_watch *watch);

#endif
