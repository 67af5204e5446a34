/* bench_tokenizer.c: Dipper's half of bench/tokenizer_vs.py.
 *
 *     bench_tokenizer TOKENIZER.json TEXTS
 *
 * In the file TEXTS each text follows its length (four bytes, little-endian). The program reads commands from standard
 * input, one in each line, and answers each with a line:
 *
 *     run         encodes all texts once; answers this thread's processor time in nanoseconds, and the number of tokens
 *     ids FILE    writes the ids of all texts: count and ids, four bytes each
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "embed/tokenizer.h"
#include "os/file.h"

struct bench {
    struct tokenizer *tokenizer;
    struct span *texts;
    size_t count;
    struct arena arena;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_tokenizer: %s\n", what);
    exit(1);
}

static void read_texts(struct bench *b, struct span file)
{
    struct cursor c = cursor_over(file);
    b->texts = calloc(file.len / 4 + 1, sizeof *b->texts);
    if (b->texts == NULL)
        die("out of memory");
    while (c.rest.len > 0 && !c.failed)
        b->texts[b->count++] = cursor_bytes(&c, cursor_u32(&c));
    if (c.failed)
        die("the file of texts ends inside a text");
}

static struct tokens encode(struct bench *b, size_t i)
{
    struct tokens tokens;
    struct dp_error error;
    arena_reset(&b->arena);
    if (tokenizer_encode(b->tokenizer, b->texts[i], 0, &b->arena, &tokens, &error) != DP_OK)
        die(error.message);
    return tokens;
}

static int64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void run(struct bench *b)
{
    int64_t began = thread_ns();
    size_t tokens = 0;
    for (size_t i = 0; i < b->count; i++)
        tokens += encode(b, i).count;
    printf("%lld %zu\n", (long long)(thread_ns() - began), tokens);
}

static void write_ids(struct bench *b, const char *path)
{
    FILE *out = fopen(path, "wb");
    if (out == NULL)
        die("cannot write the ids");
    for (size_t i = 0; i < b->count; i++) {
        struct tokens tokens = encode(b, i);
        uint32_t count = (uint32_t)tokens.count;
        fwrite(&count, sizeof count, 1, out);
        fwrite(tokens.ids, sizeof *tokens.ids, tokens.count, out);
    }
    if (fclose(out) != 0)
        die("cannot write the ids");
    printf("%zu texts\n", b->count);
}

int main(int argc, char **argv)
{
    struct buffer json, texts;
    struct dp_error error;
    struct bench b = {0};
    char line[4096];
    if (argc != 3)
        die("usage: bench_tokenizer TOKENIZER.json TEXTS");
    buffer_init(&json, (size_t)256 << 20);
    buffer_init(&texts, (size_t)1 << 30);
    arena_init(&b.arena, (size_t)1 << 30);
    if (os_read_file(argv[1], &json, &error) != DP_OK || os_read_file(argv[2], &texts, &error) != DP_OK ||
        tokenizer_open(buffer_span(&json), &b.tokenizer, &error) != DP_OK)
        die(error.message);
    read_texts(&b, buffer_span(&texts));
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "ids ", 4) == 0)
            write_ids(&b, line + 4);
        else if (strcmp(line, "run") == 0)
            run(&b);
        else
            die("unknown command");
        fflush(stdout);
    }
    tokenizer_free(b.tokenizer);
    free(b.texts);
    arena_deinit(&b.arena);
    buffer_deinit(&texts);
    buffer_deinit(&json);
    return 0;
}
