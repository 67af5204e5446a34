/* search.c: makes one or two queries of a search, and fuses their answers. */
#include "service/search.h"

#include <string.h>

#include "base/json.h"
#include "service/fuse.h"

enum { SCORE_ROOM = 64 * 1024 };

bool search_rank_parse(const char *name, enum search_rank *out)
{
    static const char *const names[] = {
        [SEARCH_MEANING] = "meaning", [SEARCH_WORDS] = "words", [SEARCH_HYBRID] = "hybrid"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum search_rank)i;
            return true;
        }
    }
    return false;
}

/* Makes `request` a query for the words of its text. */
static enum dp_status rank_by_words(struct call *call, struct query_request *request)
{
    struct buffer json;
    struct json_writer w;
    buffer_init(&json, SCORE_ROOM);
    json_writer_init(&w, &json);
    json_begin_array(&w);
    json_string_str(&w, "text");
    json_string_str(&w, "BM25");
    json_string(&w, request->text);
    json_end_array(&w);
    enum dp_status status = buffer_check(&json, "the words of the query", &call->error);
    request->rank = QUERY_SCORED;
    request->rows.nprobe = 0;
    if (status == DP_OK) {
        request->score = arena_copy(call->arena, buffer_span(&json));
        if (!request->score.data)
            status = call_nomem(call, "the words of the query");
    }
    buffer_deinit(&json);
    return status;
}

/* Puts the fused rows of both answers in place of those of *response. */
static enum dp_status fuse(struct call *call, const struct query_response *answers, size_t limit,
                           struct query_response *response)
{
    struct fuse_lane lanes[2];
    struct fused_hit *fused;
    size_t count;
    for (size_t i = 0; i < 2; i++)
        lanes[i] =
            (struct fuse_lane){.hits = answers[i].answer.hits, .count = answers[i].answer.count, .weight = 1};
    enum dp_status status = fuse_lanes(call, lanes, 2, FUSE_RANK_CONSTANT, limit, &fused, &count);
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

enum dp_status service_search(struct call *call, struct service *s, const struct query_request *request,
                              enum search_rank rank, struct query_response *response)
{
    struct query_request lanes[2] = {*request, *request};
    struct query_response answers[2];
    uint32_t limit = request->rows.top_k;
    if (rank == SEARCH_MEANING)
        return service_query(call, s, request, response);
    enum dp_status status = rank_by_words(call, &lanes[1]);
    if (status)
        return status;
    if (rank == SEARCH_WORDS)
        return service_query(call, s, &lanes[1], response);
    if (limit > 0 && limit < SEARCH_LANE_ROWS) {
        lanes[0].rows.top_k = SEARCH_LANE_ROWS;
        lanes[1].rows.top_k = SEARCH_LANE_ROWS;
    }
    status = service_queries(call, s, lanes, 2, answers);
    if (status)
        return status;
    *response = answers[0];
    return fuse(call, answers, limit, response);
}
