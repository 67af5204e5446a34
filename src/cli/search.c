/* search.c: `dipper search`: prints ranked rows for one query, or for each line of a file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "cli/output.h"
#include "os/file.h"
#include "service/hit_json.h"
#include "service/search.h"

enum { ARENA_MAX = 256 << 20, QUERY_MAX = 1 << 20, OUTPUT_MAX = 256 << 20, SHOWN_WIDTH = 100 };

struct search_given {
    const char *queries, *rank, *fusion;
    uint64_t k, nprobe, words_percent;
    bool json;
};

struct search_run {
    struct service *service;
    const struct query_request *query; /* search_words adds the text */
    struct search_options how;
    bool json;
    struct buffer output;
};

static enum dp_status write_rows_json(struct search_run *run, struct call *call, enum search_rank rank,
                                      const struct query_response *response)
{
    const struct hit_format format = {.dim = 0};
    struct json_writer w;

    json_writer_init(&w, &run->output);
    json_begin_object(&w);
    json_field_array(&w, "rows");
    for (size_t i = 0; i < response->answer.count; i++)
        if (hit_write_json(&w, call, &response->answer.hits[i], &format) != DP_OK)
            return call->error.status;
    json_end_array(&w);
    json_field_str(&w, "rank", search_rank_name(rank));
    json_field_object(&w, "performance");
    json_field_u64(&w, "rounds", call->cost.rounds);
    json_field_u64(&w, "requests", call->cost.requests);
    json_field_u64(&w, "bytes", call->cost.bytes);
    json_key(&w, "ms");
    int64_t us = response->total_ns / 1000;
    json_double(&w, (double)us / 1000);
    json_end_object(&w);
    json_end_object(&w);
    buffer_append_str(&run->output, "\n");
    return DP_OK;
}

/* Returns true if a control character begins at text[i]. C0 and DEL have one byte, C1 (U+0080 to U+009F) has
 * two. */
static bool is_control(struct span text, size_t i)
{
    return text.data[i] < 0x20 || text.data[i] == 0x7f ||
           (text.data[i] == 0xc2 && i + 1 < text.len && text.data[i + 1] < 0xa0);
}

/* Appends at most SHOWN_WIDTH bytes of a text. Spaces replace control characters, which could steer the
 * terminal. */
static void append_shown(struct buffer *out, struct span text)
{
    size_t len = text.len;

    if (len > SHOWN_WIDTH)
        for (len = SHOWN_WIDTH; len > 0 && (text.data[len] & 0xc0) == 0x80; len--) {}
    for (size_t i = 0; i < len; i++) {
        bool control = is_control(text, i);
        i += control && text.data[i] == 0xc2;
        buffer_u8(out, control ? ' ' : text.data[i]);
    }
    if (len < text.len)
        buffer_append_str(out, "…");
}

static void write_rows_text(struct search_run *run, struct call *call, enum search_rank rank, struct span words,
                            const struct query_response *response)
{
    const bool scored = rank != SEARCH_MEANING;
    const bool cosine = !scored && response->answer.metric == INDEX_COSINE;
    struct buffer *out = &run->output;

    buffer_append_str(out, "\"");
    append_shown(out, words);
    buffer_printf(out, "\" (%s, id, text)\n", scored ? "score" : cosine ? "similarity" : "distance");
    for (size_t i = 0; i < response->answer.count; i++) {
        const struct index_hit *hit = &response->answer.hits[i];
        struct json_reader r;
        struct span key, text = {0};

        json_reader_init(&r, hit->attributes);
        json_enter_object(&r);
        while (json_next_key(&r, call->arena, &key)) {
            if (span_equal_str(key, "text"))
                json_read_string(&r, call->arena, &text);
            else
                json_skip(&r);
        }
        buffer_printf(out, "%3zu. %.*f  ", i + 1, rank == SEARCH_HYBRID ? 5 : 3,
                      cosine ? 1 - (double)hit->dist : (double)hit->dist);
        if (hit->id.is_string)
            append_shown(out, hit->id.text);
        else
            buffer_printf(out, "%" PRIu64, hit->id.number);
        buffer_append_str(out, "  ");
        append_shown(out, text);
        buffer_append_str(out, "\n");
    }
    buffer_printf(out, "     %" PRIu64 " rounds, %" PRIu64 " requests, %.1f KB, %.2f ms\n", call->cost.rounds,
                  call->cost.requests, (double)call->cost.bytes / 1024, (double)response->total_ns * 1e-6);
}

static enum dp_status search_words(struct search_run *run, struct span words, struct dp_error *error)
{
    struct query_request request = *run->query;
    struct search_options how = run->how;
    struct query_response response;
    struct arena arena;
    struct call call;
    enum dp_status status;

    request.text = words;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    status = service_search(&call, run->service, &request, &how, &response);
    if (status == DP_OK) {
        if (run->json)
            status = write_rows_json(run, &call, how.rank, &response);
        else
            write_rows_text(run, &call, how.rank, words, &response);
        if (status == DP_OK)
            status = buffer_check(&run->output, "the answer", &call.error);
    }
    if (status == DP_OK)
        status = output_write(buffer_span(&run->output), &call.error);
    buffer_clear(&run->output);
    *error = call.error;
    arena_deinit(&arena);
    return status;
}

/* Searches for each line of the file, in order. */
static enum dp_status search_file(struct search_run *run, const char *path, struct dp_error *error)
{
    struct input in;
    struct line_reader reader;
    struct span line;
    enum dp_status status = DP_OK;

    if (input_open(&in, path, error) != DP_OK)
        return error->status;
    line_reader_init(&reader, in.stream, QUERY_MAX);
    while (status == DP_OK && line_reader_next(&reader, &line, error)) {
        status = search_words(run, line, error);
        if (status != DP_OK)
            dp_error_prefix(error, "%s line %" PRIu64, path, reader.number);
    }
    if (status == DP_OK)
        status = error->status;
    line_reader_deinit(&reader);
    input_close(&in);
    return status;
}

static int run_search(const struct cli_args *args)
{
    const struct search_given *given = args->options;
    struct query_request query = {.rows.all_attributes = true,
                                  .namespace = span_str(args->position_count > 0 ? args->positions[0] : ""),
                                  .rows.top_k = (uint32_t)given->k,
                                  .rows.nprobe = (uint32_t)given->nprobe};
    struct search_run run = {.query = &query, .json = given->json};
    struct dp_error error = {0};
    if (given->rank && !search_rank_parse(given->rank, &run.how.rank))
        return cli_usage(args, "--rank is '%s', not meaning, words or hybrid", given->rank);
    if (!search_fusion_parse(given->fusion, &run.how.fusion))
        return cli_usage(args, "--fusion is '%s', not rrf or convex", given->fusion);
    run.how.words_share = (double)given->words_percent / 100;
    if (!given->queries && args->position_count > 2)
        return cli_usage(args, "too many arguments: put the words of the query in quotes");
    if (args->position_count != (given->queries ? 1 : 2))
        return cli_usage(args, "a namespace and a query are needed, or a namespace and --queries FILE");
    buffer_init(&run.output, OUTPUT_MAX);
    enum dp_status status =
        open_service(program_inputs(&args->config), OPEN_MODEL | OPEN_STORE, &run.service, &error);
    if (status == DP_OK && given->queries)
        search_file(&run, given->queries, &error);
    else if (status == DP_OK)
        search_words(&run, span_str(args->positions[1]), &error);
    service_free(run.service);
    buffer_deinit(&run.output);
    return cli_end(args, &error);
}

static const struct cli_option options[] = {
    {"queries", CLI_TEXT, offsetof(struct search_given, queries), "FILE",
     .help = "one query per line (\"-\": standard input)"},
    {"top-k", CLI_NUMBER, offsetof(struct search_given, k), "N", .min = 1, .max = INDEX_TOP_K_MAX, .letter = 'k',
     .help = "how many rows (default: 10)"},
    {"nprobe", CLI_NUMBER, offsetof(struct search_given, nprobe), "N", .max = UINT32_MAX,
     .help = "how many lists to scan (default: by the size of the namespace)"},
    {"rank", CLI_TEXT, offsetof(struct search_given, rank), "HOW",
     .help = "meaning, words (BM25) or hybrid (both; the default if the namespace has both)"},
    {"fusion", CLI_TEXT, offsetof(struct search_given, fusion), "HOW",
     .help = "how hybrid fuses: rrf (default; by ranks) or convex (by scores)"},
    {"words-share", CLI_NUMBER, offsetof(struct search_given, words_percent), "PERCENT", .min = 1, .max = 99,
     .help = "share of the words in a hybrid score (default: rrf 50, convex 30)"},
    {"json", CLI_FLAG, offsetof(struct search_given, json), .help = "one JSON line per query"},
};
static const struct search_given defaults = {.fusion = "rrf", .k = 10};

const struct cli_command cli_search_command = {
    .name = "search",
    .usage = "NAMESPACE \"words\" --root DIR|URL [OPTIONS]",
    .summary = "find the rows of a namespace by meaning, by words or by both",
    .details =
        "Ranks by meaning and words if the namespace has vectors and text indexes of the attribute text,\n"
        "as `dipper index` makes them (`dipper ns compact` for an older namespace); by words alone if its\n"
        "vectors have other dimensions than the model's; else by meaning. Without text indexes, --rank\n"
        "words and hybrid look at every row, of at most 1,000,000.\n"
        "\n"
        "Prints the score, the id and the text of each row. By meaning, the score is the similarity\n"
        "(cosine; 1 means equal), or for another metric the distance. --json prints for each query\n"
        "{\"rows\": [{\"id\": …, \"$dist\": …, …attributes}], \"rank\": \"hybrid\",\n"
        " \"performance\": {\"rounds\": …, \"requests\": …, \"bytes\": …, \"ms\": …}}\n"
        "on one line. $dist is the score, larger is better; by meaning it is the distance, 1 - similarity.\n",
    .example = "  dipper search notes \"how do I bake a loaf\" --root ./bucket -k 5\n",
    .main_settings = "--root --model",
    .settings = CONFIG_GROUP_MODEL | CONFIG_GROUP_STORE,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_search,
};
