/* index/rank_node.h: a parsed score expression, as rank_parse.c makes it and rank_score.c walks it. */
#ifndef INDEX_RANK_NODE_H
#define INDEX_RANK_NODE_H

#include "base/map.h"
#include "filter/filter.h"
#include "index/rank.h"
#include "text/analyzer.h"
#include "text/settings.h"

enum rank_kind {
    RANK_NUMBER,
    RANK_BM25,
    RANK_SUM,
    RANK_MAX,
    RANK_PRODUCT,
    RANK_FILTER,
    RANK_ATTRIBUTE,
    RANK_SATURATE,
    RANK_DECAY,
    RANK_DIST
};

/* A token that a BM25 looks for. */
struct rank_token {
    struct span text;
    bool prefix;     /* tokens that begin with the text count */
    uint64_t rows;   /* number of counted rows that have it */
    double idf;      /* set by rank_begin() */
    uint32_t in_row; /* how often it is in the present row */
};

/* An attribute that BM25s of the expression look at, and all tokens that they look for. */
struct rank_text {
    const struct attribute *attribute;
    struct text_settings settings;
    struct text_analyzer *analyzer;
    struct map exact;          /* numbers of the tokens that are no prefixes */
    struct rank_token *tokens; /* [count]: owned */
    size_t count, room;
    size_t *prefixes; /* [prefix_count]: numbers of the tokens that are prefixes; owned */
    size_t prefix_count, prefix_room;
    uint64_t rows;    /* number of counted rows with a token */
    uint64_t lengths; /* sum of their lengths, each as bm25_length_of() gives it */
    double average;   /* set by rank_begin() */
    uint32_t length;  /* number of tokens of the present row */
};

/* A token of one BM25. */
struct rank_term {
    size_t token;   /* the token's number in the rank_text */
    uint32_t times; /* how often the query has it */
};

struct rank_node {
    enum rank_kind kind;
    double number; /* of RANK_NUMBER, and the weight of RANK_PRODUCT, the origin of RANK_DIST */
    size_t text;   /* of RANK_BM25: number of its rank_text */
    struct rank_term *terms;
    size_t term_count;
    struct filter *filter;
    const struct attribute *attribute;
    double midpoint, exponent;
    struct rank_node **children; /* [count] */
    size_t count;
};

struct rank {
    struct rank_node *root;
    struct arena *arena;
    struct rank_text *texts; /* [text_count]: owned */
    size_t text_count, text_room;
    size_t node_count;
    struct arena scratch; /* of one value */
    struct call *call;    /* whose end ends the match of a filter; NULL: none */
};

/* As rank_score(), for a part of the expression. */
enum dp_status rank_score_part(struct rank *rank, const struct rank_node *part, struct span key,
                               struct span document, double *out, struct dp_error *error);

#endif
