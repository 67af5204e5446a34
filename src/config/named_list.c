/* named_list.c: reads lists of values, some of which have names. */
#include "config/named_list.h"

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Returns the length of the name at the beginning, before its '='; 0: there is no name. */
static size_t name_length(struct span text)
{
    size_t len = 0;
    if (text.len == 0 || !is_alphanumeric(text.data[0]))
        return 0;
    while (len < text.len && text.data[len] != '=' && text.data[len] != ',')
        len++;
    return len < text.len && text.data[len] == '=' ? len : 0;
}

bool named_list_has_name(struct span list)
{
    return name_length(list) > 0;
}

bool named_list_next(struct span *rest, struct named_value *out)
{
    const size_t name = name_length(*rest);
    size_t begin = name ? name + 1 : 0, end = begin;
    if (rest->len == 0)
        return false;
    while (end < rest->len &&
           (rest->data[end] != ',' || !name_length(span_of(rest->data + end + 1, rest->len - end - 1))))
        end++;
    *out =
        (struct named_value){.name = span_of(rest->data, name), .value = span_of(rest->data + begin, end - begin)};
    *rest = end < rest->len ? span_of(rest->data + end + 1, rest->len - end - 1) : span_of(rest->data + end, 0);
    return true;
}
