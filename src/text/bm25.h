/* text/bm25.h: the score of a term in a text, as Lucene 8 and later computes it (BM25Similarity).
 *
 *     idf   = ln(1 + (rows - df + 0.5) / (df + 0.5))
 *     score = idf * tf / (tf + k1 * (1 - b + b * length / average))
 *
 * `rows` counts the rows with at least one token in the attribute, df those with the term. tf says how often the term
 * is in the text. A length is a number of tokens, rounded so that one byte can hold it, by Lucene's code (SmallFloat,
 * intToByte4): exact below 40, then up to 11 % too low. So a score is the same whether a text was analysed just now or
 * its length comes from an index. `average` is the sum of such lengths divided by `rows`.
 */
#ifndef TEXT_BM25_H
#define TEXT_BM25_H

#include <stdint.h>

uint8_t bm25_code_of(uint32_t length); /* a longer text never has a smaller code; above 2^31 - 1 as 2^31 - 1 */
uint32_t bm25_length_of(uint8_t code); /* the smallest length with this code */

double bm25_idf(uint64_t rows, uint64_t df);
double bm25_term(double idf, uint32_t tf, uint32_t length, double average, double k1, double b);
/* The weight of a term that is `times` times in the query: times * (k3 + 1) / (times + k3). */
double bm25_repeat(uint32_t times, double k3);

#endif
