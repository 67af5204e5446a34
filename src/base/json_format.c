/* json_format.c: prints a float or double with the fewest digits that read back as the same value.
 *
 * The digits come from Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020). The decimals that
 * round to v = c * 2^q form an interval around v. Let k be such that 10^k ≤ width of the interval < 10^(k+1). Then
 * the interval holds at least one multiple of 10^k and at most one of 10^(k+1). So the code scales v and the ends
 * of the interval by 10^-k: each takes one multiplication with a rounded power of ten. It makes an inexact product
 * odd ("round to odd"), which keeps every later comparison right. Then it compares at most four candidates. All
 * arithmetic is in integers.
 *
 * Floats from 1e-5 up to 1, the range of embeddings, take a shorter way. There the scaled value is exact in 64
 * bits, so the code rounds nothing. It writes all sixteen decimal places, eight at a time in the bytes of a word,
 * and drops trailing zeros. No branch depends on the digits, because the processor could not predict it.
 *
 * The notation is fixed from 1e-5 up to 1e15 (float) or 1e17 (double), and exponential elsewhere; both are JSON.
 * Zero is "0" and "-0.0": a reader that takes "-0" for an integer would lose the sign. NaN and infinities have no
 * JSON form and become null.
 */
#include <stdbool.h>

#include "base/json.h"
#include "base/json_powers.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first of eight digits is a word's lowest byte");

enum {
    FLOAT_FIXED_MAX = 15, /* digits before the point */
    DOUBLE_FIXED_MAX = 17,
    FIXED_ZEROS_MAX = 4, /* zeros between the point and the first digit */
    PLACES = 16          /* decimal places that are written for a float from 1e-5 up; it needs at most 13 */
};

/* The bits of 1e-5f and 1.0f: the range of is_fraction. */
static const uint32_t fraction_first = 0x3727c5ac, fraction_end = 0x3f800000;

static const uint64_t powers[] = {1,
                                  10,
                                  100,
                                  1000,
                                  10000,
                                  100000,
                                  1000000,
                                  10000000,
                                  100000000,
                                  1000000000,
                                  10000000000,
                                  100000000000,
                                  1000000000000,
                                  10000000000000,
                                  100000000000000,
                                  1000000000000000,
                                  10000000000000000,
                                  100000000000000000};

/* digits * 10^exponent */
struct shortest_decimal {
    uint64_t digits;
    int32_t exponent;
};

static const char DIGIT_PAIRS[] = "0001020304050607080910111213141516171819"
                                  "2021222324252627282930313233343536373839"
                                  "4041424344454647484950515253545556575859"
                                  "6061626364656667686970717273747576777879"
                                  "8081828384858687888990919293949596979899";

/* Returns the shortest decimal in the interval [lower, upper]; of several, the one closest to the scaled value
 * `vb` (Giulietti, §9). All three arguments are multiplied by 4. `k` is the decimal exponent of the scale. */
static inline struct shortest_decimal closest_decimal(uint64_t lower, uint64_t vb, uint64_t upper, int32_t k)
{
    /* Arithmetic instead of branches: the processor could not predict which candidate wins. */
    uint64_t s = vb / 4, tens = s / 10, middle = 4 * s + 2;
    uint64_t tens_below = lower <= 40 * tens, tens_above = 40 * tens + 40 <= upper;
    uint64_t below = lower <= 4 * s, above = 4 * s + 4 <= upper;
    uint64_t nearer_above = (vb > middle) | ((vb == middle) & s & 1);
    uint64_t one_fits = below ^ above, ten_fits = (s >= 10) & (tens_below ^ tens_above);
    uint64_t ones = s + ((one_fits & above) | (~one_fits & nearer_above));
    tens += tens_above;
    return (struct shortest_decimal){ones ^ ((ones ^ tens) & (0 - ten_fits)), k + (int32_t)ten_fits};
}

/* Returns floor(log10(2^q)); if `narrow`, floor(log10(3/4 * 2^q)), because the interval below a power of two is
 * half as wide. */
static inline int32_t floor_log10(int32_t q, bool narrow)
{
    return (q * 1262611 - (narrow ? 524031 : 0)) >> 22;
}

static inline const struct power_of_ten *power_of_ten(int32_t exponent)
{
    return &POWERS_OF_TEN[exponent - POWER_OF_TEN_FIRST];
}

/* Returns floor(g * cp / 2^64), made odd if that is inexact. The caller passes cp multiplied by 2^32. */
static inline uint32_t round_to_odd_32(uint64_t g, uint64_t cp)
{
    uint64_t product = (uint64_t)((unsigned __int128)g * cp >> 64);
    return (uint32_t)(product >> 32) | ((uint32_t)product > 1);
}

static inline uint64_t round_to_odd_64(const struct power_of_ten *g, uint64_t cp)
{
    unsigned __int128 low = (unsigned __int128)g->low * cp;
    unsigned __int128 high = (unsigned __int128)g->high * cp + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* Returns the shortest decimal of a finite, positive float, which the caller passes as its bits. */
static inline struct shortest_decimal shortest_float(uint32_t bits)
{
    uint32_t fraction = bits & 0x7fffff, biased = bits >> 23;
    uint32_t c = biased ? fraction | 0x800000 : fraction;
    int32_t q = (biased ? (int32_t)biased : 1) - 150;
    bool narrow = fraction == 0 && biased > 1;
    int32_t k = floor_log10(q, narrow);
    int32_t h = q + floor_log2_of_power(-k) + 1;
    const struct power_of_ten *power = power_of_ten(-k);
    uint64_t g = power->high + (power->low != 0);
    uint64_t unit = UINT64_C(1) << (h + 32);
    uint32_t lower = round_to_odd_32(g, (4 * c - 2 + narrow) * unit);
    uint32_t value = round_to_odd_32(g, 4 * c * unit);
    uint32_t upper = round_to_odd_32(g, (4 * c + 2) * unit);
    uint32_t odd = c & 1; /* the ends of the interval round to v only if c is even */
    return closest_decimal(lower + odd, value, upper - odd, k);
}

static inline struct shortest_decimal shortest_double(uint64_t bits)
{
    uint64_t fraction = bits & 0xfffffffffffff;
    int32_t biased = (int32_t)(bits >> 52);
    uint64_t c = biased ? fraction | 0x10000000000000 : fraction;
    int32_t q = (biased ? biased : 1) - 1075;
    bool narrow = fraction == 0 && biased > 1;
    int32_t k = floor_log10(q, narrow);
    int32_t h = q + floor_log2_of_power(-k) + 1;
    const struct power_of_ten *g = power_of_ten(-k);
    uint64_t lower = round_to_odd_64(g, (4 * c - 2 + narrow) << h);
    uint64_t value = round_to_odd_64(g, (4 * c) << h);
    uint64_t upper = round_to_odd_64(g, (4 * c + 2) << h);
    uint64_t odd = c & 1;
    return closest_decimal(lower + odd, value, upper - odd, k);
}

/* Counts the decimal digits of v, which is not 0 and below 10^17: log10 from log2, then one comparison. */
static inline int32_t count_digits(uint64_t v)
{
    int32_t guess = ((64 - __builtin_clzll(v)) * 1233) >> 12;
    return guess + (v >= powers[guess]);
}

/* Writes the last `count` decimal digits of v. */
static inline void write_digits(char *out, uint64_t v, int32_t count)
{
    while (count >= 2) {
        count -= 2;
        memcpy(out + count, DIGIT_PAIRS + v % 100 * 2, 2);
        v /= 100;
    }
    if (count)
        out[0] = (char)('0' + v % 10);
}

/* Writes the exponent after an 'e'; returns the end. */
static char *write_exponent(char *out, int32_t exponent)
{
    *out++ = 'e';
    if (exponent < 0)
        *out++ = '-';
    uint32_t magnitude = (uint32_t)(exponent < 0 ? -exponent : exponent);
    int32_t count = magnitude >= 100 ? 3 : magnitude >= 10 ? 2 : 1;
    write_digits(out, magnitude, count);
    return out + count;
}

/* Writes a decimal whose digits are not 0; returns the end. */
static inline char *write_decimal(char *out, struct shortest_decimal d, int32_t fixed_max)
{
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    int32_t count = count_digits(d.digits);
    int32_t point = count + d.exponent; /* digits before the point; if negative, -point zeros follow the point */
    if (point <= 0 && point >= -FIXED_ZEROS_MAX) {
        memcpy(out, "0.0000", 6);
        out += 2 - point;
        write_digits(out, d.digits, count);
        return out + count;
    }
    if (point <= 0 || point > fixed_max) {
        write_digits(out + 1, d.digits, count);
        out[0] = out[1];
        if (count > 1)
            out[1] = '.';
        return write_exponent(out + (count > 1 ? count + 1 : 1), point - 1);
    }
    if (d.exponent >= 0) {
        write_digits(out, d.digits, count);
        memset(out + count, '0', (size_t)d.exponent);
        return out + point;
    }
    write_digits(out + 1, d.digits, count);
    memmove(out, out + 1, (size_t)point);
    out[point] = '.';
    return out + count + 1;
}

/* Returns the eight decimal digits of v < 10^8, one in each byte; the first digit is in the lowest byte. */
static inline uint64_t eight_digits(uint32_t v)
{
    uint64_t fours = v / 10000 | (uint64_t)(v % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & 0x7f0000007f; /* each half / 100 */
    uint64_t pairs = hundreds | (fours - 100 * hundreds) << 16;
    uint64_t tens = (pairs * 103 >> 10) & 0xf000f000f000f; /* each quarter / 10 */
    return tens | (pairs - 10 * tens) << 8;
}

/* Returns whether the bits are a float from 1e-5 up to 1 and no power of two. (The interval of a power of two is
 * not symmetric.) */
static inline bool is_fraction(uint32_t bits)
{
    return bits - fraction_first < fraction_end - fraction_first && bits & 0x7fffff;
}

/* Returns the shortest decimal of a float that is_fraction accepts, multiplied by 10^PLACES.
 *
 * The float is c * 2^q, and the ends of its interval are (c ± 1/2) * 2^q. The code multiplies all three by 10^K, K
 * = -floor(log10(2^q)), so that the interval is at least one unit wide and less than ten. Because K ≤ 13, 2c * 5^K
 * is an integer below 2^56; the scaled value is this integer times 2^-shift. The interval holds at most one
 * multiple of ten; it always holds the nearest integer. */
static inline uint64_t shortest_fraction(uint32_t bits)
{
    static const uint32_t powers_of_five[] = {
        [8] = 390625, [9] = 1953125, [10] = 9765625, [11] = 48828125, [12] = 244140625, [13] = 1220703125};
    uint64_t c = (bits & 0x7fffff) | 0x800000;
    int32_t q = (int32_t)(bits >> 23) - 150, scale = -floor_log10(q, false), shift = 1 - q - scale;
    uint64_t half_width = powers_of_five[scale], v = 2 * c * half_width, unit = UINT64_C(1) << shift;
    uint64_t reach = half_width - (c & 1); /* the ends round to the float only when c is even */
    uint64_t s = v >> shift, tens = (uint32_t)s / 10, over = v - (tens * 10 << shift);
    uint64_t below = over <= reach, above = 10 * unit - over <= reach, ten_fits = below | above;
    uint64_t nearest = (v + unit / 2 - 1 + (s & 1)) >> shift; /* if two are equally near: the even one */
    uint64_t ten = 10 * (tens + above);
    return (nearest ^ ((nearest ^ ten) & (0 - ten_fits))) * powers[PLACES - scale];
}

/* Writes "0." and the PLACES digits of v without trailing zeros; returns the end. */
static inline char *write_fraction(char *out, uint64_t v)
{
    const uint64_t zeros = 0x3030303030303030;
    uint64_t first = eight_digits((uint32_t)(v / 100000000)), last = eight_digits((uint32_t)(v % 100000000));
    uint64_t first_text = first | zeros, last_text = last | zeros, has_last = 0 - (uint64_t)(last != 0);
    memcpy(out, "0.", 2);
    memcpy(out + 2, &first_text, 8);
    memcpy(out + 10, &last_text, 8);
    uint64_t end = first ^ ((first ^ last) & has_last); /* the group of eight digits that holds the last digit */
    return out + 2 + (8 & has_last) + 8 - __builtin_clzll(end) / 8;
}

/* Writes zero, NaN or an infinity; returns the length. */
static size_t write_special(char *out, bool finite, bool negative)
{
    const char *text = !finite ? "null" : negative ? "-0.0" : "0";
    size_t len = strlen(text);
    memcpy(out, text, len);
    return len;
}

static __attribute__((noinline)) char *write_any_float(char *out, uint32_t bits)
{
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude == 0 || magnitude >= 0x7f800000)
        return out + write_special(out, magnitude == 0, bits != magnitude);
    *out = '-';
    out += bits >> 31;
    return write_decimal(out, shortest_float(magnitude), FLOAT_FIXED_MAX);
}

static inline char *write_float(char *out, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (!is_fraction(bits & 0x7fffffff))
        return write_any_float(out, bits);
    *out = '-';
    out += bits >> 31;
    return write_fraction(out, shortest_fraction(bits & 0x7fffffff));
}

size_t json_format_float(float v, char out[JSON_FLOAT_ROOM])
{
    return (size_t)(write_float(out, v) - out);
}

size_t json_format_floats(const float *v, size_t count, char *out)
{
    char *to = out;
    for (size_t i = 0; i < count; i++) {
        to = write_float(to, v[i]);
        *to++ = ',';
    }
    return (size_t)(to - out);
}

size_t json_format_double(double v, char out[25])
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t magnitude = bits & 0x7fffffffffffffff;
    if (magnitude == 0 || magnitude >= 0x7ff0000000000000)
        return write_special(out, magnitude == 0, bits != magnitude);
    char *to = out;
    *to = '-';
    to += bits >> 63;
    return (size_t)(write_decimal(to, shortest_double(magnitude), DOUBLE_FIXED_MAX) - out);
}
