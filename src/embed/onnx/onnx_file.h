/* embed/onnx/onnx_file.h: finds the ONNX files of a model folder, and chooses one.
 *
 * The files lie in onnx/ or in the folder itself, under the names that exporters give. Each choice has a list of
 * files, and the first file that exists is taken:
 *
 *   choice            files
 *   "" (nothing)      model.onnx, then the files of "int8"
 *   "int8"            the file quantised for this processor's instruction set (model_qint8_avx512_vnni.onnx with
 *                     VNNI, model_quint8_avx2.onnx with AVX2, model_qint8_arm64.onnx on arm64), model_int8.onnx,
 *                     model_quantized.onnx, model_uint8.onnx
 *   any other         the file of that name
 */
#ifndef EMBED_ONNX_FILE_H
#define EMBED_ONNX_FILE_H

#include "base/arena.h"
#include "base/error.h"

/* Finds the chosen file: its path and its name within the folder ("onnx/model.onnx"), in the arena. Errors:
 * DP_NOT_FOUND. */
enum dp_status onnx_file_find(const char *folder, const char *choice, struct arena *arena, const char **path,
                              const char **name, struct dp_error *error);

/* Lists the names ("onnx/model.onnx") of the folder's ONNX files, sorted, in the arena; at most ONNX_FILES_MAX. */
enum { ONNX_FILES_MAX = 100 };
enum dp_status onnx_file_list(const char *folder, struct arena *arena, const char ***names, size_t *count,
                              struct dp_error *error);

/* Computes the SHA-256 of a file, and of the files beside it whose names begin with its name: external weights,
 * such as "model.onnx_data". The digest includes names and lengths. Errors: DP_NOMEM, and those of reading. */
enum dp_status onnx_file_digest(const char *path, struct arena *arena, uint8_t digest[32], struct dp_error *error);

#endif
