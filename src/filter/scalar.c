/* filter/scalar.c: reads and compares single values, numbers by their exact values. */
#include "filter/scalar.h"

#include "filter/document.h"
#include "filter/whole_number.h"

static struct scalar scalar_of_number(enum attribute_type type, struct span text)
{
    struct scalar s = {.kind = SCALAR_NUMBER};
    struct json_number n;
    if (json_number_scan(text, &n) != text.len)
        return (struct scalar){.kind = SCALAR_NULL};
    if (type != ATTRIBUTE_FLOAT && whole_of_number(&n, &s.magnitude) == WHOLE) {
        s.whole = true;
        s.negative = n.negative && s.magnitude;
        return s;
    }
    if (!json_number_double(&n, &s.real))
        s.real = n.negative ? -1.7976931348623157e308 : 1.7976931348623157e308;
    return s;
}

struct scalar scalar_of_json(enum attribute_type type, struct span value)
{
    struct scalar none = {.kind = SCALAR_NULL};
    if (value.len == 0)
        return none;
    switch (value.data[0]) {
    case '"': {
        if (value.len < 2)
            return none;
        struct span text = span_of(value.data + 1, value.len - 2);
        return (struct scalar){
            .kind = SCALAR_TEXT, .text = text, .escaped = text.len && memchr(text.data, '\\', text.len) != NULL};
    }
    case 't': return (struct scalar){.kind = SCALAR_BOOL, .flag = true};
    case 'f': return (struct scalar){.kind = SCALAR_BOOL};
    case 'n':
    case '[':
    case '{': return none;
    default: return scalar_of_number(type, value);
    }
}

struct scalar scalar_of_document(const struct attribute *attribute, struct span document)
{
    struct span value;
    if (attribute->dropped || !document_find(document, attribute->name, &value))
        return (struct scalar){.kind = SCALAR_NULL};
    return scalar_of_json(attribute->type, value);
}

/* Compares a whole number, which is not zero, with the absolute value of a finite number of the same sign. */
static int compare_magnitude(uint64_t magnitude, double size)
{
    if (size >= 18446744073709551616.0)
        return -1;
    uint64_t whole = (uint64_t)size;
    if (magnitude != whole)
        return magnitude < whole ? -1 : 1;
    return size > (double)whole ? -1 : 0;
}

static int compare_whole_real(const struct scalar *whole, double real)
{
    if (whole->magnitude == 0 || real == 0)
        return whole->magnitude == 0 ? (real > 0 ? -1 : real < 0 ? 1 : 0) : whole->negative ? -1 : 1;
    if (whole->negative != (real < 0))
        return whole->negative ? -1 : 1;
    int order = compare_magnitude(whole->magnitude, whole->negative ? -real : real);
    return whole->negative ? -order : order;
}

static int compare_numbers(const struct scalar *a, const struct scalar *b)
{
    if (!a->whole && !b->whole)
        return a->real < b->real ? -1 : a->real > b->real ? 1 : 0;
    if (a->whole && !b->whole)
        return compare_whole_real(a, b->real);
    if (!a->whole)
        return -compare_whole_real(b, a->real);
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    int order = a->magnitude < b->magnitude ? -1 : a->magnitude > b->magnitude ? 1 : 0;
    return a->negative ? -order : order;
}

int scalar_compare(const struct scalar *a, const struct scalar *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    switch (a->kind) {
    case SCALAR_BOOL: return (int)a->flag - (int)b->flag;
    case SCALAR_NUMBER: return compare_numbers(a, b);
    case SCALAR_TEXT: return text_compare(a->text, a->escaped, b->text, b->escaped);
    case SCALAR_NULL:
    default: return 0;
    }
}
