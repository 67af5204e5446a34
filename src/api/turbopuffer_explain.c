/* turbopuffer_explain.c: POST …/explain_query says how a query would run; POST …/_debug/recall measures the recall of
 * queries. A query by distance with a filter is run to explain it: only then is it known how many rows match. So is a
 * ranking by score: only then is it known whether indexes answer it. */
#include "api/turbopuffer_handlers.h"
#include "api/turbopuffer_query.h"
#include "base/json.h"
#include "service/hit_json.h"
#include "service/recall.h"

/* ---- plans -------------------------------------------------------------------------------------------- */

/* Whether the plan depends on how many rows match, or on what the segments have. */
static bool is_planned(const struct query_request *q)
{
    if (q->rank == QUERY_SCORED)
        return !q->per_count;
    return q->rank == QUERY_NEAREST && q->filters.len && !q->per_count &&
           span_equal_str(q->rank_attribute, "vector");
}

/* Whether a FAISS file answers the query. */
static bool is_of_file(const struct query_request *q, const struct namespace_info *info)
{
    return info->external && (q->rank == QUERY_NEAREST || q->rank == QUERY_EXACT) &&
           (q->rank_attribute.len == 0 || span_equal_str(q->rank_attribute, "vector"));
}

/* Says which rule a query with a filter has used, and the numbers that decided. */
static void explain_plan(struct buffer *text, const struct index_plan *plan, const struct index_stats *stats)
{
    const unsigned long long kb = 1000, exact = (plan->exact_bytes + kb - 1) / kb,
                             lists = (plan->list_bytes + kb - 1) / kb;
    buffer_printf(text, "find the rows that match the filter: %llu of %llu; ", (unsigned long long)plan->matches,
                  (unsigned long long)stats->rows);
    if (plan->rule == INDEX_RULE_LISTS)
        buffer_printf(
            text,
            "read the %llu lists nearest to the vector of %llu, about %llu matches and %llu kB (all matches: "
            "%llu kB); rank the best matches again by exact distance",
            (unsigned long long)plan->lists, (unsigned long long)plan->all_lists, (unsigned long long)plan->listed,
            lists, exact);
    else if (plan->all_lists)
        buffer_printf(text, "rank all of them by exact distance, about %llu kB (the nearest lists: %llu kB)",
                      exact, lists);
    else
        buffer_append_str(text, "rank all of them by exact distance");
}

/* Says how a ranking by score finds its rows. */
static void explain_score(struct buffer *text, const struct query_request *q, const struct index_plan *plan,
                          const struct index_stats *stats)
{
    if (plan->rule == INDEX_RULE_WORDS)
        buffer_printf(text,
                      "in the text indexes of %llu segments, read %llu pieces, %llu bytes; look at all %llu rows "
                      "of the log; rank the rows with these words%s by score, the largest first",
                      (unsigned long long)stats->segments, (unsigned long long)plan->lists,
                      (unsigned long long)plan->list_bytes, (unsigned long long)stats->unindexed_rows,
                      q->filters.len ? " that pass the filter" : "");
    else
        buffer_printf(text, "look at all %llu rows%s; rank them by score, the largest first",
                      (unsigned long long)stats->rows,
                      q->filters.len ? " and keep those that pass the filter" : "");
}

/* Says how the FAISS file that has the namespace's vectors is searched. */
static void explain_external(struct buffer *text, const struct query_request *q, const struct index_stats *stats)
{
    if (q->filters.len)
        buffer_printf(text, "find the rows that match the filter: look at all %llu; ",
                      (unsigned long long)stats->rows);
    buffer_printf(text, "search %s of the FAISS file%s; read the rows with the ids that it finds",
                  q->rank == QUERY_EXACT ? "all vectors" : "the lists nearest to the vector",
                  q->filters.len ? " for the ids of these rows alone" : "");
}

static void explain_query(struct buffer *text, const struct turbopuffer_query *query,
                          const struct namespace_info *info, const struct index_plan *plan)
{
    const struct query_request *q = &query->query;
    const struct index_stats *stats = &info->stats;
    const unsigned long long rows = stats->rows, log = stats->unindexed_rows, segments = stats->segments;
    if (is_of_file(q, info))
        explain_external(text, q, stats);
    else if (q->rank == QUERY_NEAREST && !q->filters.len && !q->per_count &&
             span_equal_str(q->rank_attribute, "vector"))
        buffer_printf(text,
                      "in each of %llu segments, read the lists nearest to the vector; read all %llu rows of the "
                      "log; rank the best rows again by exact distance",
                      segments, log);
    else if (q->rank == QUERY_SCORED)
        explain_score(text, q, plan, stats);
    else if (is_planned(q))
        explain_plan(text, plan, stats);
    else if (q->rank == QUERY_AGGREGATED)
        buffer_printf(text, "look at all %llu rows%s; count and add up", rows,
                      q->filters.len ? " and keep those that pass the filter" : "");
    else if (q->rank == QUERY_ORDERED)
        buffer_printf(text, "look at all %llu rows%s; order them by \"%.*s\", %s", rows,
                      q->filters.len ? " and keep those that pass the filter" : "", SPAN_FMT(q->rank_attribute),
                      q->descending ? "the largest first" : "the smallest first");
    else
        buffer_printf(text, "look at all %llu rows%s; rank them by exact distance", rows,
                      q->filters.len ? " and keep those that pass the filter" : "");
    if (q->per_count)
        buffer_printf(text, "; keep %u of each group", q->per_limit);
    buffer_printf(text, q->rank == QUERY_AGGREGATED ? "; answer at most %u groups" : "; answer %u rows",
                  q->rows.top_k - query->offset);
    if (query->offset)
        buffer_printf(text, " after the first %u", query->offset);
}

void turbopuffer_explain(struct call *call, const struct api_context *api, const struct http_request *http,
                         struct http_response *response)
{
    struct turbopuffer_queries all;
    struct namespace_info info;
    struct json_writer w;
    struct buffer text;
    bool malformed;
    if (turbopuffer_parse_query(call, http->body, &all, &malformed) != DP_OK) {
        turbopuffer_fail(call, malformed, response);
        return;
    }
    if (service_namespace_info(call, api->service, GATE_READ, http->args[0], &info) != DP_OK) {
        turbopuffer_fail(call, false, response);
        return;
    }
    buffer_init(&text, 1 << 16);
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < all.count && status == DP_OK; i++) {
        struct query_response planned = {.dim = 0};
        all.queries[i].query.namespace = http->args[0];
        if (is_planned(&all.queries[i].query) && !is_of_file(&all.queries[i].query, &info))
            status = service_query(call, api->service, &all.queries[i].query, &planned);
        if (i)
            buffer_append_str(&text, "\n");
        explain_query(&text, &all.queries[i], &info, &planned.answer.plan);
    }
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_span(&w, "plan_text", buffer_span(&text));
    json_end_object(&w);
    if (status == DP_OK)
        status = buffer_check(&text, "a plan", &call->error);
    buffer_deinit(&text);
    if (status == DP_OK)
        api_finish(call, &api_turbopuffer, response);
    else
        turbopuffer_fail(call, false, response);
}

/* ---- recall ------------------------------------------------------------------------------------------- */

static void print_truth(struct json_writer *w, const struct recall_query *query, uint32_t dim)
{
    json_begin_object(w);
    json_key(w, "query_vector");
    json_floats(w, query->vector, dim);
    json_field_array(w, "nearest_neighbors");
    for (size_t i = 0; i < query->exact.count; i++) {
        const struct index_hit *hit = &query->exact.hits[i];
        json_begin_object(w);
        json_key(w, "id");
        hit_write_id(w, &hit->id);
        json_field_float(w, "$dist", hit->dist);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void print_recall(struct json_writer *w, const struct recall_response *answer, bool ground_truth)
{
    double found = 0, exact = 0;
    for (size_t i = 0; i < answer->count; i++) {
        found += (double)answer->queries[i].found.count;
        exact += (double)answer->queries[i].exact.count;
    }
    const double count = answer->count ? (double)answer->count : 1;
    json_begin_object(w);
    json_field_double(w, "avg_recall", answer->recall);
    json_field_double(w, "avg_exhaustive_count", exact / count);
    json_field_double(w, "avg_ann_count", found / count);
    if (ground_truth) {
        json_field_array(w, "ground_truth");
        for (size_t i = 0; i < answer->count; i++)
            print_truth(w, &answer->queries[i], answer->dim);
        json_end_array(w);
    }
    json_end_object(w);
}

void turbopuffer_recall(struct call *call, const struct api_context *api, const struct http_request *http,
                        struct http_response *response)
{
    struct turbopuffer_recall parsed;
    struct recall_response answer;
    struct json_writer w;
    bool malformed;
    if (turbopuffer_parse_recall(call, http->body, &parsed, &malformed) != DP_OK) {
        turbopuffer_fail(call, malformed, response);
        return;
    }
    const struct recall_request request = {
        .namespace = http->args[0], .num = parsed.num, .top_k = parsed.top_k, .filters = parsed.filters};
    if (service_recall(call, api->service, &request, &answer) != DP_OK) {
        turbopuffer_fail(call, false, response);
        return;
    }
    json_writer_init(&w, &response->body);
    print_recall(&w, &answer, parsed.ground_truth);
    api_finish(call, &api_turbopuffer, response);
}
