/* stop_words.c: finds a word in the list of its language. */
#include "text/stop_words.h"

bool stop_word_is(enum text_language language, struct span word)
{
    const struct stop_words *list = &stop_words[language];
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = span_compare(word, span_str(list->words[middle]));
        if (order == 0)
            return true;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}
