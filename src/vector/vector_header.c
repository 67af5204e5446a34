/* vector_header.c: reads the headers of .npy, .fvecs and .bvecs. Refuses other files, and says what they are.
 *
 *   npy    = "\x93NUMPY", u8 major, u8 minor, u16 (major 1) or u32 length, header of that length, the numbers
 *   header = a Python dictionary: 'descr', 'fortran_order', 'shape', in any order, as NumPy prints it
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/file_kind.h"
#include "vector/vector_file.h"

enum { MAGIC_BYTES = 8, DIGITS_MAX = 18, SHAPE_MAX = 3 };

static const char magic[] = "\x93NUMPY";

/* ---- the header of a .npy -------------------------------------------------------------------------------- */

static struct span npy_skip_blanks(struct span text)
{
    while (text.len > 0 && *text.data == ' ')
        text = span_of(text.data + 1, text.len - 1);
    return text;
}

/* The text behind "'key':" and spaces, up to the end; empty when the key is missing. */
static struct span npy_value_of(struct span header, const char *key)
{
    char quoted[24];
    size_t len = (size_t)snprintf(quoted, sizeof quoted, "'%s':", key);
    for (size_t at = 0; at + len <= header.len; at++)
        if (memcmp(header.data + at, quoted, len) == 0) {
            struct span value = span_of(header.data + at + len, header.len - at - len);
            return npy_skip_blanks(value);
        }
    return span_of(NULL, 0);
}

/* Takes a number of at most DIGITS_MAX digits off the front; false when there is no number. */
static bool npy_take_number(struct span *text, uint64_t *out)
{
    size_t digits = 0;
    *out = 0;
    while (digits < text->len && digits < DIGITS_MAX && text->data[digits] >= '0' && text->data[digits] <= '9')
        *out = *out * 10 + (uint64_t)(text->data[digits++] - '0');
    *text = span_of(text->data + digits, text->len - digits);
    return digits > 0;
}

/* Reads "(3, 4)", "(4,)" or "()": up to SHAPE_MAX numbers, and their count. False: the text is not a shape. */
static bool npy_parse_shape(struct span text, uint64_t shape[SHAPE_MAX], size_t *dims)
{
    *dims = 0;
    if (text.len == 0 || *text.data != '(')
        return false;
    for (;;) {
        text = npy_skip_blanks(span_of(text.data + 1, text.len - 1)); /* behind '(' or ',' */
        if (text.len > 0 && *text.data == ')')
            return true;
        if (*dims == SHAPE_MAX || !npy_take_number(&text, &shape[*dims]))
            return *dims == SHAPE_MAX;
        ++*dims;
        if (text.len > 0 && *text.data == 'L') /* Python 2 wrote "4L" */
            text = span_of(text.data + 1, text.len - 1);
        text = npy_skip_blanks(text);
        if (text.len == 0 || (*text.data != ',' && *text.data != ')'))
            return false;
        if (*text.data == ')')
            return true;
    }
}

/* ---- types ----------------------------------------------------------------------------------------------- */

static const struct {
    char letter, digit;
    enum vector_type type;
} types[] = {{'f', '2', VECTOR_F16}, {'f', '4', VECTOR_F32}, {'f', '8', VECTOR_F64}, {'i', '1', VECTOR_I8},
             {'i', '2', VECTOR_I16}, {'i', '4', VECTOR_I32}, {'i', '8', VECTOR_I64}, {'u', '1', VECTOR_U8},
             {'u', '2', VECTOR_U16}, {'u', '4', VECTOR_U32}, {'u', '8', VECTOR_U64}, {'b', '1', VECTOR_BOOL}};

/* Names a type of numbers that we do not read, by its letter, and says what to do. */
static const char *npy_type_remedy(char letter)
{
    switch (letter) {
    case 'O':
        return "Python objects, which are pickled: numpy.save(…, numpy.stack(list(x)).astype('<f4')) makes "
               "numbers of rows of "
               "equal length";
    case 'c': return "complex numbers, which cannot be compared: save their real parts, x.real";
    case 'U':
    case 'S': return "texts: embed them first (`dipper embed`)";
    case '[': return "records: numpy.save(…, x['NAME']) takes one field of them";
    default: return "a type that is not read here: numpy.save(…, x.astype('<f4')) makes them float32";
    }
}

/* descr: "'<f4', …" */
static enum dp_status npy_parse_type(struct span descr, const char *name, struct vector_layout *out,
                                     struct dp_error *error)
{
    if (descr.len >= 5 && descr.data[0] == '\'' && descr.data[4] == '\'')
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            if (descr.data[2] == (uint8_t)types[t].letter && descr.data[3] == (uint8_t)types[t].digit &&
                memchr("<>|", descr.data[1], 3)) {
                out->type = types[t].type;
                out->size = (size_t)(types[t].digit - '0');
                out->big_endian = descr.data[1] == '>';
                return DP_OK;
            }
    size_t shown = 0;
    while (shown < descr.len && shown < 12 && (shown == 0 || descr.data[shown - 1] != '\'' || shown == 1))
        shown++;
    char letter = descr.len > 0 && descr.data[0] == '[' ? '[' : descr.len > 2 ? (char)descr.data[2] : '?';
    return dp_fail(error, DP_INVALID, "%s: its numbers are %.*s, %s", name, (int)shown, (const char *)descr.data,
                   npy_type_remedy(letter));
}

static enum dp_status npy_take_shape(struct span text, const char *name, struct vector_layout *out,
                                     struct dp_error *error)
{
    uint64_t shape[SHAPE_MAX] = {0};
    size_t dims;
    if (!npy_parse_shape(text, shape, &dims) || dims == 0)
        return dp_fail(error, DP_INVALID, "%s: its shape must be (vectors, dimensions) or (dimensions,)", name);
    if (dims > 2)
        return dp_fail(
            error, DP_INVALID,
            "%s: its shape has more than two dimensions, but must be (vectors, dimensions): numpy.save(…, "
            "x.reshape(len(x), -1))",
            name);
    out->one_dim = dims == 1;
    out->count = dims == 1 ? 1 : shape[0];
    uint64_t dim = shape[dims - 1];
    if (dim < 1 || dim > VECTOR_DIM_MAX)
        return dp_fail(error, DP_INVALID, "%s: its shape has vectors of %" PRIu64 " dimensions; 1 to %d are read",
                       name, dim, VECTOR_DIM_MAX);
    out->dim = (size_t)dim;
    return DP_OK;
}

static enum dp_status parse_npy(struct span head, uint64_t file_bytes, const char *name, struct vector_layout *out,
                                struct dp_error *error)
{
    struct cursor c = cursor_over(head);
    uint64_t numbers;
    cursor_bytes(&c, 6);
    uint8_t major = cursor_u8(&c);
    cursor_u8(&c);
    uint32_t len = major == 1 ? cursor_u16(&c) : cursor_u32(&c);
    struct span header = cursor_bytes(&c, len);
    if (c.failed || major < 1 || major > 3)
        return dp_fail(error, DP_INVALID,
                       "%s: its .npy header is cut short, or its format version is not 1, 2 or 3", name);
    enum dp_status status = npy_parse_type(npy_value_of(header, "descr"), name, out, error);
    if (status == DP_OK)
        status = npy_take_shape(npy_value_of(header, "shape"), name, out, error);
    if (status != DP_OK)
        return status;
    struct span order = npy_value_of(header, "fortran_order");
    out->columns = span_starts_with(order, span_str("True"));
    if (!out->columns && !span_starts_with(order, span_str("False")))
        return dp_fail(error, DP_INVALID, "%s: its .npy header has no 'fortran_order'", name);
    out->columns = out->columns && !out->one_dim && out->dim > 1; /* one column: both orders are equal */
    uint64_t rest = file_bytes - c.offset;
    if (__builtin_mul_overflow(out->count, (uint64_t)out->dim, &numbers) || numbers > rest / out->size ||
        numbers * out->size != rest)
        return dp_fail(error, DP_INVALID,
                       "%s: %" PRIu64 " vectors of %zu dimensions do not fill the %" PRIu64
                       " bytes behind its header: the file is cut short, or has other bytes at its end",
                       name, out->count, out->dim, rest);
    out->begin = c.offset;
    out->row_bytes = out->dim * out->size;
    return DP_OK;
}

/* ---- .fvecs and .bvecs ----------------------------------------------------------------------------------- */

static bool name_ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), n = strlen(end);
    return len >= n && memcmp(name + len - n, end, n) == 0;
}

/* Whether the file consists of whole vectors of numbers of `size` bytes. *all: every vector in the head has one
 * dimension. */
static bool vecs_fit(struct span head, uint64_t file_bytes, size_t size, bool *all)
{
    struct cursor first = cursor_over(head);
    int32_t dim = cursor_i32(&first);
    *all = false;
    if (first.failed || dim < 1 || dim > VECTOR_DIM_MAX || file_bytes % (4 + size * (uint64_t)dim) != 0)
        return false;
    *all = true;
    struct cursor c = cursor_over(head);
    while (!c.failed && c.rest.len >= 4) {
        *all = *all && cursor_i32(&c) == dim;
        cursor_bytes(&c, size * (uint64_t)dim);
    }
    return true;
}

/* Refuses a file of another format, and says what to do. */
static enum dp_status refuse_other_file(struct span head, uint64_t file_bytes, const char *name,
                                        struct dp_error *error)
{
    enum file_kind kind = file_kind_of(head);
    const char *remedy = file_kind_remedy(kind);
    switch (kind) {
    case FILE_UNKNOWN:
        if (head.len > 0 && (span_starts_with(head, span_str("Ix")) || span_starts_with(head, span_str("Iw")) ||
                             span_starts_with(head, span_str("IH"))))
            return dp_fail(error, DP_INVALID,
                           "%s: it is a FAISS index, not vectors: numpy.save(\"x.npy\", "
                           "faiss.read_index(FILE).reconstruct_n()) takes them out",
                           name);
        return dp_fail(error, DP_INVALID,
                       "%s: it is neither .npy, .fvecs nor .bvecs: its %" PRIu64
                       " bytes are not whole vectors of the dimension that it begins with",
                       name, file_bytes);
    case FILE_ZIP: remedy = "save one array of the .npz: numpy.save(\"x.npy\", numpy.load(FILE)[\"NAME\"])"; break;
    case FILE_TEXT:
        remedy =
            "convert lines of numbers by numpy.save(\"x.npy\", numpy.loadtxt(FILE, \"float32\", delimiter=\",\"))";
        break;
    case FILE_PARQUET:
        remedy = "save a column: numpy.save(\"x.npy\", "
                 "numpy.stack(pandas.read_parquet(FILE)[\"NAME\"]).astype(\"float32\"))";
        break;
    default:
        if (!remedy)
            remedy = "save its vectors as rows: numpy.save(\"x.npy\", x.astype(\"float32\"))";
    }
    return dp_fail(error, DP_INVALID, "%s: it is %s, and vectors are read from .npy, .fvecs and .bvecs; %s", name,
                   file_kind_name(kind), remedy);
}

static enum dp_status parse_vecs(struct span head, uint64_t file_bytes, const char *name,
                                 struct vector_layout *out, struct dp_error *error)
{
    bool all_floats, all_bytes;
    if (file_bytes == 0)
        return dp_fail(error, DP_INVALID, "%s: it is empty; vectors are read from .npy, .fvecs and .bvecs", name);
    if (name_ends_with(name, ".ivecs"))
        return dp_fail(
            error, DP_INVALID,
            "%s: .ivecs are whole numbers, such as the ids of true neighbours; vectors are read from .npy, .fvecs "
            "and .bvecs",
            name);
    bool floats = vecs_fit(head, file_bytes, sizeof(float), &all_floats),
         bytes = vecs_fit(head, file_bytes, 1, &all_bytes);
    if (!floats && !bytes)
        return refuse_other_file(head, file_bytes, name, error);
    /* If the file can be either .fvecs or .bvecs, the dimensions in the head decide, and if they do not, the
     * file's name. */
    bool take_bytes = bytes && (!floats || (all_bytes && !all_floats) ||
                                (all_bytes == all_floats && name_ends_with(name, ".bvecs")));
    struct cursor c = cursor_over(head);
    *out = (struct vector_layout){.type = take_bytes ? VECTOR_U8 : VECTOR_F32,
                                  .size = take_bytes ? 1 : sizeof(float),
                                  .dim = (size_t)cursor_i32(&c),
                                  .prefix = 4};
    out->row_bytes = out->prefix + out->dim * out->size;
    out->count = file_bytes / out->row_bytes;
    return DP_OK;
}

enum dp_status vector_layout_parse(struct span head, uint64_t file_bytes, const char *name,
                                   struct vector_layout *out, struct dp_error *error)
{
    *out = (struct vector_layout){0};
    bool npy = head.len >= MAGIC_BYTES && memcmp(head.data, magic, sizeof magic - 1) == 0;
    return npy ? parse_npy(head, file_bytes, name, out, error) : parse_vecs(head, file_bytes, name, out, error);
}
