/* fuzz_aws_answers.c: any bytes as XML and JSON answers of S3, STS and the metadata services, and as a profile
 * file. The result is an error or values within bounds, never a crash. The first byte chooses the format. */
#include <stdlib.h>

#include "store/s3/keys.h"
#include "store/s3/profile.h"
#include "store/s3/shell_words.h"
#include "store/s3/answers.h"
#include "base/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Walks the whole document, reading, skipping and entering elements by turns. */
static void walk(struct xml_reader *r, struct arena *arena, unsigned *turn)
{
    struct span name, text;
    uint64_t number;
    while (xml_next_child(r, &name)) {
        if (r->depth > XML_DEPTH_MAX || memchr(name.data, '<', name.len))
            abort();
        switch ((*turn)++ % 4) {
        case 0: walk(r, arena, turn); break;
        case 1:
            if (xml_read_text(r, arena, &text) && text.len > r->text.len)
                abort();
            break;
        case 2: xml_read_u64(r, arena, &number); break;
        default: xml_skip(r); break;
        }
    }
}

static void check_keys(enum dp_status status, struct aws_keys *keys, const struct dp_error *error)
{
    if ((status == DP_OK) != (keys != NULL) || (status != DP_OK && error->message[0] == '\0'))
        abort();
    if (keys && (!keys->access_key_id.len || memchr(keys->text, '\n', keys->text_len)))
        abort();
    aws_keys_release(keys);
}

static void check_profile(struct span text, bool is_config, struct arena *arena)
{
    struct aws_files files = {0};
    struct aws_profile p;
    struct aws_sso sso;
    struct shell_words split;
    struct span url;
    struct dp_error error = {0};
    if (ini_parse("file", text, arena, is_config ? &files.config : &files.credentials, &error) != DP_OK) {
        if (error.message[0] == '\0')
            abort();
        return;
    }
    aws_profile_find(&files, span_str("work"), &p);
    if (!p.found && (aws_profile_has_keys(&p) || aws_profile_source(&p) != AWS_PROFILE_NOTHING))
        abort();
    if (aws_profile_endpoint(&files, &p, "s3", &url, &error) == DP_OK && url.len > text.len)
        abort();
    if (aws_profile_sso(&files, &p, span_str("work"), &sso, &error) == DP_OK && !sso.region.data)
        abort();
    if (shell_words_split(p.credential_process, arena, &split, &error) == DP_OK)
        for (size_t i = 0; i < split.count; i++)
            if (split.words[i].len > text.len || split.words[i].data[split.words[i].len] != '\0')
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct dp_error error = {0};
    struct aws_keys *keys = NULL;
    struct aws_error said;
    struct xml_reader r;
    struct span name;
    unsigned turn = 0;
    if (size == 0)
        return 0;
    struct span body = span_of(data + 1, size - 1);
    arena_init(&arena, 16 << 20);
    switch ((uint8_t)(data[0] - '0') % 10) {
    case 0: {
        enum dp_status status = aws_keys_from_json("the peer", body, &arena, &keys, &error);
        check_keys(status, keys, &error);
        break;
    }
    case 1: {
        enum dp_status status = aws_keys_from_sts("the peer", body, &arena, &keys, &error);
        check_keys(status, keys, &error);
        break;
    }
    case 2:
        if (aws_error_parse(body, &arena, &said) && said.code.len == 0)
            abort();
        break;
    case 3:
        xml_reader_init(&r, body);
        if (xml_enter(&r, &name))
            walk(&r, &arena, &turn);
        if (xml_failed(&r) && xml_error(&r, &error) == DP_OK)
            abort();
        break;
    case 6: {
        struct bucket_page page = {0};
        enum dp_status status = s3_parse_page(body, &arena, &page, &error);
        for (size_t i = 0; i < page.count && status == DP_OK; i++)
            if (page.entries[i].key.len > body.len ||
                (i && span_compare(page.entries[i - 1].key, page.entries[i].key) > 0))
                abort();
        if (status != DP_OK && error.message[0] == '\0')
            abort();
        break;
    }
    case 8: {
        enum dp_status status = aws_keys_from_process("the program", body, &arena, &keys, &error);
        check_keys(status, keys, &error);
        break;
    }
    case 9: {
        enum dp_status status = aws_keys_from_sso("the peer", body, &arena, &keys, &error);
        check_keys(status, keys, &error);
        break;
    }
    case 7: {
        struct span text;
        if ((s3_parse_upload_id(body, &arena, &text, &error) == DP_OK ||
             s3_parse_completed(body, &arena, &text, &error) == DP_OK) &&
            text.len == 0)
            abort();
        break;
    }
    default: check_profile(body, data[0] & 1, &arena); break;
    }
    arena_deinit(&arena);
    return 0;
}
