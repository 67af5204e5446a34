/* tiny_model.h: a whole model in a few kilobytes, for tests that need embeddings.
 *
 * The model is a small, fast BERT encoder: one layer, 16 dimensions, 69 tokens, fixed pseudo-random weights. Its
 * vectors mean nothing, but equal texts get equal vectors and different texts different ones.
 */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

enum { TINY_DIM = 16, TINY_TOKENS = 24, TINY_VOCAB = 69 };
/* Ids of the special tokens and of "cat". Each of the TINY_WORDS is one token. */
enum { TINY_CLS = 2, TINY_SEP = 3, TINY_CAT = 57 };
#define TINY_WORDS "cat", "dog", "wing", "heat", "salt", "pepper", "flow", "river", "boat", "sail", "wind", "star"

/* Writes the model's files into `folder`, which exists and names the model. Ends the program on failure. */
void tiny_model_write(const char *folder);

#endif
