/* fuzz_aws_answers.c: any bytes as XML and JSON answers of S3, STS and the metadata services, and as a profile
 * file. The result is an error or values within bounds, never a crash. The first byte chooses the format. */
#include <stdlib.h>

#include "store/s3/keys.h"
#include "store/s3/profile.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct dp_error error = {0};
    struct aws_keys *keys = NULL;
    struct aws_error said;
    struct aws_profile profile = {0};
    struct xml_reader r;
    struct span name;
    unsigned turn = 0;
    if (size == 0)
        return 0;
    struct span body = span_of(data + 1, size - 1);
    arena_init(&arena, 16 << 20);
    switch (data[0] % 8) {
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
    case 7: {
        struct span text;
        if ((s3_parse_upload_id(body, &arena, &text, &error) == DP_OK ||
             s3_parse_completed(body, &arena, &text, &error) == DP_OK) &&
            text.len == 0)
            abort();
        break;
    }
    default:
        if (aws_profile_read("file", body, data[0] & 1 ? AWS_CONFIG_FILE : AWS_CREDENTIALS_FILE, span_str("work"),
                             &profile, &error) != DP_OK &&
            error.message[0] == '\0')
            abort();
        break;
    }
    arena_deinit(&arena);
    return 0;
}
