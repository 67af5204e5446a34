/* fuzz_model_config.c: any bytes as one of the JSON files of a model folder. The first byte chooses the file
 * and its reader. Accepted values are within the engine's limits.
 */
#include <assert.h>

#include "embed/prompts.h"
#include "embed/folder/sentence_config.h"
#include "embed/folder/tokenizer_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct bert_config usual = {.hidden = 20,
                                             .layers = 1,
                                             .heads = 2,
                                             .intermediate = 36,
                                             .vocab = 11,
                                             .types = 2,
                                             .positions = 12,
                                             .max_tokens = 12,
                                             .epsilon = 1e-12f};
    if (size == 0)
        return 0;
    struct bert_config config = usual;
    struct span json = span_of(data + 1, size - 1), type, class;
    struct sentence_modules modules;
    struct sentence_settings sentence;
    struct tokenizer_config tokenizer;
    struct prompts prompts = {.are_skipped = false}, copy;
    struct dp_error error = {.status = DP_OK};
    struct arena arena;
    bool skips, is_outline = data[0] % 9 == 4;
    enum dp_status status;
    arena_init(&arena, 1 << 20);
    switch (data[0] % 9) {
    case 0: status = bert_config_parse(json, &arena, &config, &error); break;
    case 1: status = sentence_modules_parse(json, &arena, &modules, &error); break;
    case 2: status = sentence_pooling_parse(json, &arena, &config, &skips, &error); break;
    case 3: status = sentence_settings_parse(json, &arena, &sentence, &error); break;
    case 4: status = bert_config_parse_outline(json, &arena, &config, &error); break;
    case 5: status = tokenizer_config_parse(json, &arena, &tokenizer, &error); break;
    case 6: status = sentence_normalize_parse(json, &arena, &error); break;
    case 7: status = bert_config_parse_classes(json, &arena, &type, &class, &error); break;
    default:
        status = prompts_parse(json, &arena, &prompts, &error);
        if (status == DP_OK && prompts_copy(&prompts, &copy, &error) == DP_OK)
            prompts_free(&copy);
    }
    if (status == DP_OK && is_outline)
        assert(config.vocab <= MODEL_VOCAB_MAX && config.max_tokens == config.positions);
    else if (status == DP_OK)
        assert(bert_config_check(&config, &error) == DP_OK);
    else
        assert(error.status == status && error.message[0]);
    arena_deinit(&arena);
    return 0;
}
