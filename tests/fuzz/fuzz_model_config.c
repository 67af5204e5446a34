/* fuzz_model_config.c: any bytes as one of the JSON files of a model folder; the first byte says which and for whom.
 * What is accepted is within the engine's limits.
 */
#include <assert.h>

#include "embed/model_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct model_config usual = {.hidden = 20,
                                              .layers = 1,
                                              .heads = 2,
                                              .intermediate = 36,
                                              .vocab = 11,
                                              .positions = 12,
                                              .max_tokens = 12,
                                              .epsilon = 1e-12f};
    if (size == 0)
        return 0;
    struct model_config config = usual;
    struct span json = span_of(data + 1, size - 1), folder;
    struct dp_error error = {.status = DP_OK};
    struct arena arena;
    enum dp_status status;
    arena_init(&arena, 1 << 20);
    switch (data[0] % 5) {
    case 0: status = model_config_parse(json, &arena, &config, &error); break;
    case 1: status = model_config_parse_modules(json, &arena, &config, &folder, &error); break;
    case 2: status = model_config_parse_pooling(json, &arena, &config, &error); break;
    case 3: status = model_config_parse_sentence(json, &arena, &config, &error); break;
    default: status = model_config_parse_outline(json, &arena, &config, &error);
    }
    if (status == DP_OK && data[0] % 5 == 4)
        assert(config.vocab <= MODEL_VOCAB_MAX && config.max_tokens == config.positions);
    else if (status == DP_OK)
        assert(model_config_check(&config, &error) == DP_OK);
    else
        assert(error.status == status && error.message[0]);
    arena_deinit(&arena);
    return 0;
}
