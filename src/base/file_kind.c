/* file_kind.c: recognises files of other formats by their magic bytes. */
#include "base/file_kind.h"

#include "base/utf8.h"

static const struct {
    enum file_kind kind;
    const char *magic;
    size_t len, at;
} magics[] = {
    {FILE_LFS_POINTER, "version https://git-lfs.github.com/spec/", 40, 0},
    {FILE_GZIP, "\x1f\x8b", 2, 0},
    {FILE_ZSTD, "\x28\xb5\x2f\xfd", 4, 0},
    {FILE_XZ, "\xfd\x37zXZ", 5, 0},
    {FILE_BZIP2, "BZh", 3, 0},
    {FILE_ZIP, "PK\x03\x04", 4, 0},
    {FILE_ZIP, "PK\x05\x06", 4, 0}, /* an archive without files */
    {FILE_TAR, "ustar", 5, 257},
    {FILE_NPY, "\x93NUMPY", 6, 0},
    {FILE_PARQUET, "PAR1", 4, 0},
    {FILE_ARROW, "ARROW1", 6, 0},
    {FILE_HDF5, "\x89HDF\r\n\x1a\n", 8, 0},
    {FILE_SQLITE, "SQLite format 3", 15, 0},
    {FILE_PICKLE, "\x80\x02", 2, 0},
    {FILE_PICKLE, "\x80\x03", 2, 0},
    {FILE_PICKLE, "\x80\x04\x95", 3, 0},
    {FILE_PICKLE, "\x80\x05\x95", 3, 0},
};

static const struct {
    const char *name, *remedy;
} texts[] = {
    [FILE_UNKNOWN] = {NULL, NULL},
    [FILE_LFS_POINTER] = {"a git-lfs pointer, not the file that it points to", "run `git lfs pull`"},
    [FILE_HTML] = {"an HTML page, such as one that asks for a login",
                   "check the URL or how the file was downloaded: it must be had without a login"},
    [FILE_STORE_ERROR] = {"the error of an object store (XML)",
                          "download it again: the answer was an error, which was saved as the file"},
    [FILE_XML] = {"an XML document", NULL},
    [FILE_GZIP] = {"compressed by gzip", "unpack it first: `gunzip`"},
    [FILE_ZSTD] = {"compressed by zstd", "unpack it first: `zstd -d`"},
    [FILE_XZ] = {"compressed by xz", "unpack it first: `xz -d`"},
    [FILE_BZIP2] = {"compressed by bzip2", "unpack it first: `bunzip2`"},
    [FILE_ZIP] = {"a zip archive (.zip, .npz)", "unpack it first: `unzip`"},
    [FILE_TAR] = {"a tar archive", "unpack it first: `tar -xf`"},
    [FILE_NPY] = {"a NumPy array (.npy)", NULL},
    [FILE_PARQUET] = {"a Parquet table", NULL},
    [FILE_ARROW] = {"an Arrow table", NULL},
    [FILE_HDF5] = {"an HDF5 file", NULL},
    [FILE_SQLITE] = {"an SQLite database", NULL},
    [FILE_PICKLE] = {"a Python pickle", NULL},
    [FILE_JSON] = {"JSON", NULL},
    [FILE_TEXT] = {"text", NULL},
};

/* Returns whether isspace() holds in the C locale; the process's locale does not matter. */
static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Returns whether `text` begins with `word`, in upper or lower case. `word` is in lower case. */
static bool begins_with_word(struct span text, const char *word)
{
    size_t len = strlen(word);
    if (text.len < len)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((text.data[i] >= 'A' && text.data[i] <= 'Z' ? text.data[i] + 32 : text.data[i]) != word[i])
            return false;
    return true;
}

static bool text_contains(struct span text, const char *word)
{
    for (; text.len > 0; text = span_of(text.data + 1, text.len - 1))
        if (begins_with_word(text, word))
            return true;
    return false;
}

/* Returns whether the head is UTF-8 without control characters. The end of the head may split the last character.
 * */
static bool is_text(struct span head)
{
    const uint8_t *at = head.data, *end = head.data + head.len;
    while (at < end) {
        size_t len = utf8_length(at, end);
        if (len == 0)
            return end - at < 4 && head.len == FILE_KIND_HEAD;
        if (len == 1 && *at < 0x20 && !is_blank(*at))
            return false;
        at += len;
    }
    return true;
}

static enum file_kind kind_of_text(struct span text)
{
    struct span all = text;
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        text = span_of(text.data + 3, text.len - 3);
    while (text.len > 0 && is_blank(*text.data))
        text = span_of(text.data + 1, text.len - 1);
    if (begins_with_word(text, "<!doctype html") || begins_with_word(text, "<html"))
        return FILE_HTML;
    if (begins_with_word(text, "<error>") || (begins_with_word(text, "<?xml") && text_contains(text, "<error>")))
        return FILE_STORE_ERROR;
    if (begins_with_word(text, "<?xml"))
        return FILE_XML;
    if (!is_text(all))
        return FILE_UNKNOWN;
    if (text.len == 0)
        return FILE_UNKNOWN;
    return *text.data == '{' || *text.data == '[' ? FILE_JSON : FILE_TEXT;
}

enum file_kind file_kind_of(struct span head)
{
    if (head.len == 0)
        return FILE_UNKNOWN;
    if (head.len > FILE_KIND_HEAD)
        head.len = FILE_KIND_HEAD;
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (head.len >= magics[i].at + magics[i].len &&
            memcmp(head.data + magics[i].at, magics[i].magic, magics[i].len) == 0)
            return magics[i].kind;
    return kind_of_text(head);
}

const char *file_kind_name(enum file_kind kind)
{
    return texts[kind].name;
}

const char *file_kind_remedy(enum file_kind kind)
{
    return texts[kind].remedy;
}
