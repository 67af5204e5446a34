/* library.c: writes, corrects and deletes books, and searches them: library ROOT */
#include <dipper/dipper.h>
#include <inttypes.h>
#include <stdio.h>

enum { BOOKS = 3 };

static const uint64_t IDS[BOOKS] = {1, 2, 3};
/* Two numbers for each book: how much it is about the sea, and how much about bread. */
static const float VECTORS[BOOKS][2] = {{0.9f, 0.1f}, {0.1f, 0.9f}, {0.6f, 0.6f}};
static const char *const ATTRIBUTES[BOOKS] = {
    "{\"title\": \"Sailing alone\", \"year\": 1959, \"version\": 1}",
    "{\"title\": \"Sourdough\", \"year\": 2016, \"version\": 1}",
    "{\"title\": \"Ship's biscuit\", \"year\": 1996, \"version\": 1}",
};

/* Writes and prints the number in a field of the answer. */
static enum dp_status write_and_print(struct dp_namespace *books, const struct dp_write *write, const char *field,
                                      struct dp_error *error)
{
    struct dp_answer *answer;
    enum dp_status status = dp_namespace_write(books, write, &answer, error);

    if (status == DP_OK)
        printf("%s: %" PRIu64 "\n", field, dp_answer_number(answer, field));
    dp_answer_free(answer);
    return status;
}

static enum dp_status change_books(struct dp_namespace *books, struct dp_error *error)
{
    static const char *const late[] = {"{\"title\": \"Sourdough, misprinted\", \"version\": 0}"};
    const struct dp_write all = {.size = sizeof all,
                                 .count = BOOKS,
                                 .ids = IDS,
                                 .vectors = VECTORS[0],
                                 .dim = 2,
                                 .attributes = ATTRIBUTES,
                                 .request = "{\"distance_metric\": \"cosine_distance\"}"};
    /* Versions may arrive in any order: an older one never replaces a newer one. */
    const struct dp_write older = {
        .size = sizeof older,
        .count = 1,
        .ids = IDS + 1,
        .vectors = VECTORS[1],
        .dim = 2,
        .attributes = late,
        .request = "{\"upsert_condition\": [\"version\", \"Lt\", {\"$ref_new\": \"version\"}]}"};
    const struct dp_write gone = {.size = sizeof gone, .kind = DP_DELETE, .count = 1, .ids = IDS + 2};
    enum dp_status status = write_and_print(books, &all, "rows_upserted", error);

    if (status == DP_OK)
        status = write_and_print(books, &older, "rows_upserted", error);
    if (status == DP_OK)
        status = write_and_print(books, &gone, "rows_deleted", error);
    return status;
}

static enum dp_status search_books(struct dp_namespace *books, struct dp_error *error)
{
    const float sea[2] = {1, 0};
    const struct dp_query query = {.size = sizeof query, .vector = sea, .dim = 2, .k = 2};
    struct dp_results *found;
    enum dp_status status = dp_namespace_query(books, &query, &found, error);

    for (size_t i = 0; i < dp_results_count(found); i++)
        printf("%s %s\n", dp_results_id(found, i), dp_results_attributes(found, i));
    dp_results_free(found);
    return status;
}

int main(int argc, char **argv)
{
    const struct dp_namespace_options create = {.size = sizeof create, .create = true};
    struct dp_namespace *books = NULL;
    struct dp_error error = {DP_OK, ""};
    enum dp_status status;

    if (argc != 2) {
        fprintf(stderr, "usage: %s ROOT\n", argv[0]);
        return 2;
    }
    status = dp_namespace_open(argv[1], "library-c", &create, &books, &error);
    if (status == DP_OK)
        status = change_books(books, &error);
    if (status == DP_OK)
        status = search_books(books, &error);
    if (status == DP_OK)
        status = dp_namespace_compact(books, NULL, NULL, &error);
    if (status != DP_OK)
        fprintf(stderr, "%s\n", error.message);
    dp_namespace_close(books);
    return status == DP_OK ? 0 : 1;
}
