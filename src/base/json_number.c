/* json_number.c: scans a decimal number and rounds it to a float or double.
 *
 * The rounding is D. Lemire's ("Number parsing at a gigabyte per second", 2021; without its fallback: N. Mushtak
 * and D. Lemire, "Fast number parsing without fallback", 2022). The first 19 digits times a 128-bit power of ten
 * give the significand with enough bits to round. Digits beyond the 19th matter only if the 19 digits and the 19
 * digits plus one round differently. Then the code compares the number exactly, in long integers, with the middle
 * between the two results, where rounding changes.
 */
#include "base/json_number.h"

#include <assert.h>

#include "base/json_powers.h"

enum {
    DIGITS_KEPT = 19, /* any 19 digits fit into 64 bits */
    DIGITS_COMPARED = 800,
    EXPONENT_CAP = 1000000 /* larger exponents are infinity or zero anyway */
};

/* The parameters of binary32 and binary64. */
struct binary_format {
    int32_t fraction_bits;
    int32_t bias;
    int32_t biased_max; /* biased exponent of infinity */
    int32_t power_min;  /* for smaller powers of ten, 19 digits round to 0 */
    int32_t power_max;  /* for larger powers of ten, the result is infinite */
    int32_t tie_min;    /* from tie_min to tie_max, a number may lie exactly between two results */
    int32_t tie_max;
};

static const struct binary_format BINARY32 = {23, 127, 0xff, -65, 38, -17, 10};
static const struct binary_format BINARY64 = {52, 1023, 0x7ff, -342, 308, -4, 23};

static bool is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

/* Folds a run of digits into *value (modulo 2^64) and returns its end. */
static inline const uint8_t *fold_digits(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t v = *value;
    while (at < end && is_digit(*at))
        v = v * 10 + (uint64_t)(*at++ - '0');
    *value = v;
    return at;
}

/* Keeps the first 19 significant digits of a longer number: [first, end) is digits with at most one point. */
static void keep_first_digits(struct json_number *n, const uint8_t *first, const uint8_t *end)
{
    int kept = 0;
    bool behind_point = false;
    n->digits = 0;
    n->exponent = 0;
    for (const uint8_t *at = first; at < end; at++) {
        if (*at == '.') {
            behind_point = true;
        } else if (kept < DIGITS_KEPT) {
            n->digits = n->digits * 10 + (uint64_t)(*at - '0');
            kept += n->digits != 0;
            n->exponent -= behind_point;
        } else {
            n->truncated |= *at != '0';
            n->exponent += !behind_point;
        }
    }
}

size_t json_number_scan(struct span text, struct json_number *out)
{
    struct json_number n = {.integer = true};
    if (text.len == 0)
        return 0;
    const uint8_t *at = text.data, *end = at + text.len;
    n.negative = *at == '-';
    at += n.negative;
    const uint8_t *first = at;
    at = fold_digits(at, end, &n.digits);
    if (at == first || (*first == '0' && at - first > 1))
        return 0;
    if (at < end && *at == '.') {
        const uint8_t *fraction = ++at;
        n.integer = false;
        at = fold_digits(at, end, &n.digits);
        if (at == fraction)
            return 0;
        n.exponent = fraction - at;
    }
    if (at - first > DIGITS_KEPT)
        keep_first_digits(&n, first, at);
    if (at < end && (*at | 0x20) == 'e') {
        n.integer = false;
        at++;
        bool down = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        const uint8_t *from = at;
        int64_t exponent = 0;
        for (; at < end && is_digit(*at); at++)
            if (exponent < EXPONENT_CAP)
                exponent = exponent * 10 + (*at - '0');
        if (at == from)
            return 0;
        n.exponent += down ? -exponent : exponent;
    }
    n.text = span_of(text.data, (size_t)(at - text.data));
    *out = n;
    return n.text.len;
}

/* Converts digits * 10^exponent to the bits of a positive binary number; infinity if it is too large. */
static inline uint64_t round_digits(uint64_t digits, int64_t exponent, const struct binary_format *b)
{
    if (digits == 0 || exponent < b->power_min)
        return 0;
    uint64_t infinity = (uint64_t)b->biased_max << b->fraction_bits;
    if (exponent > b->power_max)
        return infinity;
    int32_t q = (int32_t)exponent;
    int32_t leading = __builtin_clzll(digits);
    uint64_t w = digits << leading;
    const struct power_of_ten *power = &POWERS_OF_TEN[q - POWER_OF_TEN_FIRST];

    /* Keeps the significand's bits and three more: guard bits, and one because the product may begin with a zero
     * bit. If all bits below these are ones, the product with the low half of the power can carry into the kept
     * bits, so the code adds that product too. */
    unsigned __int128 product = (unsigned __int128)w * power->high;
    uint64_t below = UINT64_MAX >> (b->fraction_bits + 3);
    if (((uint64_t)(product >> 64) & below) == below) {
        uint64_t low = power->low - (q > POWER_OF_TEN_EXACT_LAST); /* rounded down for positive powers */
        product += (uint64_t)(((unsigned __int128)w * low) >> 64);
    }
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    int32_t upper = (int32_t)(high >> 63);
    int32_t shift = upper + 64 - b->fraction_bits - 3;
    uint64_t significand = high >> shift;
    int32_t biased = floor_log2_of_power(q) + 63 + upper - leading + b->bias;
    if (biased <= 0) { /* subnormal: fewer bits, and no ties (the power is too small for one) */
        if (biased <= -63)
            return 0;
        significand >>= 1 - biased;
        significand += significand & 1;
        return significand >> 1; /* if it rounds up to a normal number, these bits encode it */
    }
    bool tie =
        low <= 1 && q >= b->tie_min && q <= b->tie_max && (significand & 3) == 1 && significand << shift == high;
    if (tie)
        significand &= ~(uint64_t)1;
    significand += significand & 1;
    significand >>= 1;
    /* The leading one adds one to the exponent; a carry out of the significand adds another and leaves zeros. */
    uint64_t bits = ((uint64_t)(biased - 1) << b->fraction_bits) + significand;
    return bits < infinity ? bits : infinity;
}

/* A non-negative integer of at most LIMBS * 64 bits, least significant limb first. */
enum { LIMBS = 96 };
struct long_integer {
    uint64_t limbs[LIMBS];
    size_t count; /* limbs in use; the last one is not 0 */
};

/* a = a * factor + addend */
static void long_multiply_add(struct long_integer *a, uint64_t factor, uint64_t addend)
{
    uint64_t carry = addend;
    for (size_t i = 0; i < a->count; i++) {
        unsigned __int128 product = (unsigned __int128)a->limbs[i] * factor + carry;
        a->limbs[i] = (uint64_t)product;
        carry = (uint64_t)(product >> 64);
    }
    if (carry) {
        assert(a->count < LIMBS);
        a->limbs[a->count++] = carry;
    }
}

static void long_multiply_power_of_ten(struct long_integer *a, int64_t exponent)
{
    for (; exponent >= DIGITS_KEPT; exponent -= DIGITS_KEPT)
        long_multiply_add(a, 10000000000000000000u, 0);
    for (; exponent > 0; exponent--)
        long_multiply_add(a, 10, 0);
}

static void long_shift_left(struct long_integer *a, int32_t bits)
{
    for (; bits >= 63; bits -= 63)
        long_multiply_add(a, (uint64_t)1 << 63, 0);
    if (bits > 0)
        long_multiply_add(a, (uint64_t)1 << bits, 0);
}

static int long_compare(const struct long_integer *a, const struct long_integer *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (size_t i = a->count; i-- > 0;)
        if (a->limbs[i] != b->limbs[i])
            return a->limbs[i] < b->limbs[i] ? -1 : 1;
    return 0;
}

/* Compares the whole number with the middle between the binary number `bits` and the next larger one: below (-1),
 * equal (0) or above (1).
 *
 * digits * 10^e <=> (2 * c + 1) * 2^(q - 1), with all negative powers moved to the other side. At most 800 digits are
 * compared. The middle has at most 767 digits (binary64's least normal numbers), so a number that agrees with it so
 * far is above it if any non-zero digit follows. */
static int compare_with_middle(const struct json_number *n, uint64_t bits, const struct binary_format *b)
{
    struct long_integer decimal = {.count = 0}, middle = {.count = 0};
    int64_t exponent = n->exponent;
    size_t seen = 0;
    bool more = false;
    for (size_t i = n->negative; i < n->text.len && (n->text.data[i] | 0x20) != 'e'; i++) {
        uint8_t byte = n->text.data[i];
        if (byte == '.' || (seen == 0 && byte == '0'))
            continue;
        if (++seen > DIGITS_COMPARED) {
            more |= byte != '0';
            continue;
        }
        long_multiply_add(&decimal, 10, (uint64_t)(byte - '0'));
        exponent -= seen > DIGITS_KEPT; /* n->exponent is the 19th digit's */
    }
    int32_t biased = (int32_t)(bits >> b->fraction_bits);
    uint64_t hidden = (uint64_t)1 << b->fraction_bits;
    uint64_t c = biased ? (bits & (hidden - 1)) | hidden : bits;
    int32_t half = (biased ? biased : 1) - b->bias - b->fraction_bits - 1; /* q - 1 */
    long_multiply_add(&middle, 0, 2 * c + 1);
    long_multiply_power_of_ten(&decimal, exponent);
    long_multiply_power_of_ten(&middle, -exponent);
    long_shift_left(&decimal, -half);
    long_shift_left(&middle, half);
    int order = long_compare(&decimal, &middle);
    return order == 0 && more ? 1 : order;
}

/* Rounds the whole number; returns its bits without the sign. */
static inline uint64_t round_number(const struct json_number *n, const struct binary_format *b)
{
    uint64_t bits = round_digits(n->digits, n->exponent, b);
    if (!n->truncated)
        return bits;
    uint64_t above = round_digits(n->digits + 1, n->exponent, b);
    if (bits == above)
        return bits;
    assert(above == bits + 1);
    int order = compare_with_middle(n, bits, b);
    return order > 0 || (order == 0 && (bits & 1)) ? above : bits;
}

bool json_number_double(const struct json_number *n, double *out)
{
    uint64_t bits = round_number(n, &BINARY64);
    bool finite = bits < 0x7ff0000000000000;
    bits |= (uint64_t)n->negative << 63;
    memcpy(out, &bits, sizeof *out);
    return finite;
}

bool json_number_float(const struct json_number *n, float *out)
{
    uint32_t bits = (uint32_t)round_number(n, &BINARY32);
    bool finite = bits < 0x7f800000;
    bits |= (uint32_t)n->negative << 31;
    memcpy(out, &bits, sizeof *out);
    return finite;
}
