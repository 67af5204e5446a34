/* embed/native/packed_writer.h: writes packed models (packed_model.h). */
#ifndef EMBED_PACKED_WRITER_H
#define EMBED_PACKED_WRITER_H

#include "embed/native/packed_model.h"

/* Quantises the model of an open folder and appends its packed form to `out`.
 *
 * tokenizer  the bytes that tokenizer_serialize() wrote
 * out        its length must be a multiple of 64 */
enum dp_status packed_model_write(const struct model_source *source, struct span tokenizer, struct buffer *out,
                                  struct dp_error *error);

#endif
