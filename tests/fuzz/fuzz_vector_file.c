/* fuzz_vector_file.c: any bytes as .npy or .fvecs. Checked beyond memory safety: a file that is read has as many
 * numbers as it has room for, and a copy with one byte less is refused. */
#include <assert.h>

#include "vector/vector_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vector_file file;
    struct dp_error error = {0};
    enum dp_status status = vector_file_parse(span_of(data, size), "fuzz", &file, &error);
    assert(status == error.status);
    assert((status == DP_OK) == (file.values != NULL));
    if (status == DP_OK) {
        assert(file.dim > 0 && file.count * file.dim <= size / sizeof(float));
        volatile float sum = 0.0f;
        for (size_t i = 0; i < file.count * file.dim; i++)
            sum = sum + file.values[i];
        if (file.count > 0) {
            struct vector_file shorter;
            assert(vector_file_parse(span_of(data, size - 1), "fuzz", &shorter, NULL) == DP_INVALID);
        }
    }
    vector_file_deinit(&file);
    return 0;
}
