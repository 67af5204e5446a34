/* search.c: makes one or two queries of a search, and fuses their answers. */
#include "service/search.h"

#include <string.h>

#include "base/json.h"
#include "service/full_text.h"
#include "service/fuse.h"

enum { SCORE_ROOM = 64 * 1024 };

static const double SHARE_OF_RANKS = 0.5, SHARE_OF_SCORES = 0.3;

/* Finds a name among `count` names, some of which may be NULL. */
static bool find_name(const char *const *names, size_t count, const char *name, size_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] && strcmp(name, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static const char *const rank_names[] = {
    [SEARCH_MEANING] = "meaning", [SEARCH_WORDS] = "words", [SEARCH_HYBRID] = "hybrid"};

bool search_rank_parse(const char *name, enum search_rank *out)
{
    size_t found;
    if (!find_name(rank_names, sizeof rank_names / sizeof *rank_names, name, &found))
        return false;
    *out = (enum search_rank)found;
    return true;
}

const char *search_rank_name(enum search_rank rank)
{
    return rank_names[rank];
}

enum search_rank search_default(bool meaning, bool words)
{
    return words ? (meaning ? SEARCH_HYBRID : SEARCH_WORDS) : SEARCH_MEANING;
}

bool search_fusion_parse(const char *name, enum search_fusion *out)
{
    static const char *const names[] = {[FUSION_RRF] = "rrf", [FUSION_CONVEX] = "convex"};
    size_t found;
    if (!find_name(names, sizeof names / sizeof *names, name, &found))
        return false;
    *out = (enum search_fusion)found;
    return true;
}

/* Makes `request` a query for the words of its text. */
static enum dp_status rank_by_words(struct call *call, struct query_request *request)
{
    struct buffer json;
    struct json_writer w;
    buffer_init(&json, SCORE_ROOM);
    json_writer_init(&w, &json);
    json_begin_array(&w);
    json_string_str(&w, FULL_TEXT_ATTRIBUTE);
    json_string_str(&w, "BM25");
    json_string(&w, request->text);
    json_end_array(&w);
    enum dp_status status = buffer_check(&json, "the words of the query", &call->error);
    request->rank = QUERY_SCORED;
    request->rows.nprobe = 0;
    request->rows.vector = NULL;
    request->rows.dim = 0;
    if (status == DP_OK) {
        request->score = arena_copy(call->arena, buffer_span(&json));
        if (!request->score.data)
            status = call_nomem(call, "the words of the query");
    }
    buffer_deinit(&json);
    return status;
}

/* Returns the score of a hit by meaning, from 0 to 1. */
static double meaning_score(const struct index_answer *answer, size_t i)
{
    const double dist = (double)answer->hits[i].dist, last = (double)answer->hits[answer->count - 1].dist;
    if (answer->metric == INDEX_COSINE)
        return dist < 1 ? 1 - dist : 0;
    return last > 0 ? 1 - dist / last : 1;
}

/* Gives both lanes scores. lanes[0] is by meaning, lanes[1] by words. */
static enum dp_status score_lanes(struct call *call, const struct query_response *answers, struct fuse_lane *lanes)
{
    for (size_t lane = 0; lane < 2; lane++) {
        const struct index_answer *answer = &answers[lane].answer;
        double *scores = arena_array(call->arena, answer->count + 1, sizeof *scores);
        if (!scores)
            return call_nomem(call, "the rows of a search");
        for (size_t i = 0; i < answer->count; i++)
            scores[i] =
                lane == 0 ? meaning_score(answer, i) : (double)answer->hits[i].dist / (double)answer->hits[0].dist;
        lanes[lane].scores = scores;
    }
    return DP_OK;
}

/* Puts the fused rows of both answers in place of those of *response. */
static enum dp_status fuse(struct call *call, const struct query_response *answers,
                           const struct search_options *options, size_t limit, struct query_response *response)
{
    const bool by_scores = options->fusion == FUSION_CONVEX;
    const double share = options->words_share > 0 ? options->words_share
                         : by_scores              ? SHARE_OF_SCORES
                                                  : SHARE_OF_RANKS;
    /* By ranks, the weights of equal shares are 1, as in the other interfaces. */
    const double weights[2] = {by_scores ? 1 - share : 2 * (1 - share), by_scores ? share : 2 * share};
    struct fuse_lane lanes[2];
    struct fused_hit *fused;
    size_t count;
    for (size_t i = 0; i < 2; i++)
        lanes[i] = (struct fuse_lane){
            .hits = answers[i].answer.hits, .count = answers[i].answer.count, .weight = weights[i]};
    enum dp_status status = by_scores ? score_lanes(call, answers, lanes) : DP_OK;
    if (status == DP_OK)
        status = fuse_lanes(call, lanes, 2, FUSE_RANK_CONSTANT, limit, &fused, &count);
    if (status)
        return status;
    struct index_hit *hits = arena_array(call->arena, count + 1, sizeof *hits);
    if (!hits)
        return call_nomem(call, "the rows of a search");
    for (size_t i = 0; i < count; i++)
        hits[i] = fused[i].hit;
    response->answer.hits = hits;
    response->answer.count = count;
    return DP_OK;
}

/* Searches by a ranking that is no default. */
static enum dp_status search_by(struct call *call, struct service *s, const struct query_request *request,
                                const struct search_options *options, struct query_response *response)
{
    struct query_request lanes[2] = {*request, *request};
    struct query_response answers[2];
    uint32_t limit = request->rows.top_k;
    if (options->rank == SEARCH_MEANING)
        return service_query(call, s, request, response);
    enum dp_status status = rank_by_words(call, &lanes[1]);
    if (status)
        return status;
    if (options->rank == SEARCH_WORDS)
        return service_query(call, s, &lanes[1], response);
    if (limit > 0 && limit < SEARCH_LANE_ROWS) {
        lanes[0].rows.top_k = SEARCH_LANE_ROWS;
        lanes[0].rows.shown = limit;
        lanes[1].rows.top_k = SEARCH_LANE_ROWS;
    }
    status = service_queries(call, s, lanes, 2, answers);
    if (status)
        return status;
    *response = answers[0];
    return fuse(call, answers, options, limit, response);
}

/* Searches by the ranking that the open state of the namespace suggests, and once more if the search has found a
 * newer state that suggests another. */
static enum dp_status search_by_default(struct call *call, struct service *s, const struct query_request *request,
                                        struct search_options *options, struct query_response *response)
{
    enum dp_status status = DP_OK;
    for (int tries = 0; tries < 2; tries++) {
        bool meaning, words;
        struct dp_error error = call->error;
        enum dp_status known = service_lanes_of(call, s, request->namespace, &meaning, &words);
        if (known != DP_OK)
            return known;
        const enum search_rank rank = search_default(meaning, words);
        if (tries > 0 && rank == options->rank) {
            call->error = error;
            break;
        }
        dp_error_clear(&call->error);
        options->rank = rank;
        status = search_by(call, s, request, options, response);
    }
    return status;
}

enum dp_status service_search(struct call *call, struct service *s, const struct query_request *request,
                              struct search_options *options, struct query_response *response)
{
    if (!(options->words_share >= 0 && options->words_share < 1))
        return call_fail(call, DP_INVALID, "the words' share of the score is %g: it must be between 0 and 1",
                         options->words_share);
    return options->rank == SEARCH_DEFAULT ? search_by_default(call, s, request, options, response)
                                           : search_by(call, s, request, options, response);
}
