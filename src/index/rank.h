/* index/rank.h: score expressions in turbopuffer's grammar, over rows.
 *
 *   score := [attribute, "BM25", text | [token, …]] | [attribute, "BM25", text | [token, …], {"last_as_prefix": true}]
 *          | ["Sum", [score, …]] | ["Max", [score, …]] | ["Product", number, score] | ["Product", score, number]
 *          | ["Attribute", attribute] | ["Saturate", score, {"midpoint": m, "exponent": e}]
 *          | ["Decay", score, {"midpoint": m, "exponent": e}] | ["Dist", score, origin] | number
 *          | filter (1 for a row that matches, else 0)
 *
 * BM25 scores the tokens of the query as text/bm25.h says; a token that the query has several times weighs more, up
 * to k3 + 1. With last_as_prefix a row scores 1 if a token begins with the last token of the query. Saturate is x^e /
 * (x^e + m^e), Decay m^e / (x^e + m^e), both with x >= 0; Dist is |x - origin|. A datetime counts as milliseconds; an
 * origin that is a datetime is written as text, and a midpoint may be "6h" (s, m, h, d, w). An attribute without a
 * value scores 0, wherever it is. A signed attribute is allowed inside Max, Saturate, Decay and Dist only, so no
 * score is negative.
 *
 * BM25 needs to know how many rows have each token, so all rows are counted first:
 *
 *   rank_parse(); rank_count() for each row, if rank_counts(); rank_begin(); rank_score() for each row; rank_free()
 */
#ifndef INDEX_RANK_H
#define INDEX_RANK_H

#include <float.h>

#include "base/arena.h"
#include "base/error.h"
#include "filter/attribute.h"

enum {
    RANK_NODES_MAX = 1024, /* of one expression */
    RANK_TEXT_MAX = 8192   /* bytes of the text, or of all tokens, of one BM25 */
};

struct call; /* os/call.h */
struct rank;

/* Parses an expression into `arena`. The arena, `json` and the schema must live as long as the rank.
 * Fails with DP_INVALID, DP_UNSUPPORTED or DP_NOMEM. The caller frees *out. */
enum dp_status rank_parse(struct arena *arena, struct span json, const struct schema *schema, struct rank **out,
                          struct dp_error *error);
void rank_free(struct rank *rank); /* NULL is fine */
/* From now on the end of the call ends the match of a filter, and so the score of a row. */
void rank_set_call(struct rank *rank, struct call *call);

/* Gives token number `number` that BM25s look for in the attribute. Returns false if there are no more. */
bool rank_token(const struct rank *rank, struct span attribute, size_t number, struct span *text, bool *prefix);

/* Whether rank_count() is needed: the expression has a BM25. */
bool rank_counts(const struct rank *rank);
/* Forgets all counts. */
void rank_reset(struct rank *rank);
/* Counts a row's tokens. Fails with DP_NOMEM, or with DP_CORRUPT for a document that is not what the schema says. */
enum dp_status rank_count(struct rank *rank, struct span document, struct dp_error *error);
/* Computes what the counts say about the tokens, after the last rank_count(). */
void rank_begin(struct rank *rank);
/* Computes the score of a row: 0 or more, and finite. Fails as rank_count() does. */
enum dp_status rank_score(struct rank *rank, struct span key, struct span document, double *out,
                          struct dp_error *error);
/* Returns a score as a hit has it: scores beyond the range of a float become the greatest float. */
static inline float rank_dist(double score)
{
    return score < (double)FLT_MAX ? (float)score : FLT_MAX;
}

#endif
