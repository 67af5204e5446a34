/* fuzz_auth_answers.c: any bytes as an answer of a token endpoint, a token, or a time of expiry. The result is an
 * error or a token within bounds, never a crash. The first byte chooses the parser. */
#include <stdlib.h>

#include "store/auth/oauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_token(enum dp_status status, struct bearer_token *token, const struct dp_error *error)
{
    if ((status == DP_OK) != (token != NULL) || (status != DP_OK && error->message[0] == '\0'))
        abort();
    if (token && (token->text.len == 0 || memchr(token->text.data, '\n', token->text.len)))
        abort();
    secret_release(token ? &token->base : NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct dp_error error = {0};
    struct bearer_token *token = NULL;
    struct oauth_error said;
    int64_t ms;
    if (size == 0)
        return 0;
    struct span body = span_of(data + 1, size - 1);
    arena_init(&arena, 16 << 20);
    switch (data[0] % 4) {
    case 0: {
        enum dp_status status = oauth_token_parse("the peer", body, 0, &arena, &token, &error);
        check_token(status, token, &error);
        break;
    }
    case 1:
        if (oauth_error_parse(body, &arena, &said) && !said.code.len && !said.message.len)
            abort();
        break;
    case 2: {
        enum dp_status status = bearer_token_new("the peer", body, 0, &token, &error);
        check_token(status, token, &error);
        break;
    }
    default:
        if (secret_time_parse(body, &ms) && ms < 0)
            abort();
        break;
    }
    arena_deinit(&arena);
    return 0;
}
