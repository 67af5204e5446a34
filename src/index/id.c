/* id.c: turns ids into id keys and back, and checks names of namespaces. */
#include "index/id.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/utf8.h"

enum { NUMBER_KEY_LEN = 9, UUID_KEY_LEN = 1 + UUID_BYTES };

enum dp_status index_check_name(struct span name, struct dp_error *error)
{
    if (name.len == 0 || name.len > INDEX_NAME_MAX)
        return dp_fail(error, DP_INVALID, "a namespace's name has 1 to %d characters, not %zu", INDEX_NAME_MAX,
                       name.len);
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
                     c == '-' || c == '_';
        if (!plain)
            return dp_fail(error, DP_INVALID,
                           "a namespace's name holds only A-Z, a-z, 0-9, '.', '-' and '_'; byte %zu is 0x%02x", i,
                           c);
    }
    if (name.data[0] == '.' || name.data[0] == '_')
        return dp_fail(error, DP_INVALID, "a namespace's name does not begin with '%c'", name.data[0]);
    return DP_OK;
}

enum dp_status id_encode(struct index_id id, struct id_key *out, struct dp_error *error)
{
    if (!id.is_string) {
        out->len = NUMBER_KEY_LEN;
        out->bytes[0] = ID_UINT;
        for (int i = 0; i < 8; i++)
            out->bytes[1 + i] = (uint8_t)(id.number >> (56 - 8 * i));
        return DP_OK;
    }
    if (id.is_uuid) {
        out->len = UUID_KEY_LEN;
        out->bytes[0] = ID_UUID;
        if (!uuid_parse(id.text, out->bytes + 1))
            return dp_fail(error, DP_INVALID, "the id \"%.*s\" is not a UUID; all ids of this namespace are UUIDs",
                           id.text.len > INDEX_ID_MAX ? INDEX_ID_MAX : (int)id.text.len,
                           (const char *)id.text.data);
        return DP_OK;
    }
    if (id.text.len == 0 || id.text.len > INDEX_ID_MAX)
        return dp_fail(error, DP_INVALID, "an id has 1 to %d bytes, not %zu", INDEX_ID_MAX, id.text.len);
    if (!utf8_valid(id.text))
        return dp_fail(error, DP_INVALID, "an id is not valid UTF-8");
    out->len = (uint8_t)(1 + id.text.len);
    out->bytes[0] = ID_STRING;
    memcpy(out->bytes + 1, id.text.data, id.text.len);
    return DP_OK;
}

bool id_decode(struct span key, char uuid[UUID_TEXT_LEN], struct index_id *out)
{
    *out = (struct index_id){0};
    if (key.len == NUMBER_KEY_LEN && key.data[0] == ID_UINT) {
        for (int i = 0; i < 8; i++)
            out->number = out->number << 8 | key.data[1 + i];
        return true;
    }
    if (key.len == UUID_KEY_LEN && key.data[0] == ID_UUID) {
        uuid_format(key.data + 1, uuid);
        out->is_string = out->is_uuid = true;
        out->text = span_of(uuid, UUID_TEXT_LEN);
        return true;
    }
    if (key.len < ID_KEY_MIN || key.len > ID_KEY_MAX || key.data[0] != ID_STRING)
        return false;
    out->is_string = true;
    out->text = span_of(key.data + 1, key.len - 1);
    return utf8_valid(out->text);
}

bool id_key_valid(struct span key)
{
    struct index_id id;
    char uuid[UUID_TEXT_LEN];
    return id_decode(key, uuid, &id);
}

enum id_kind id_key_kind(struct span key)
{
    return (enum id_kind)key.data[0];
}

enum dp_status id_kind_join(enum id_kind *kind, struct span key, struct dp_error *error)
{
    char text[ID_TEXT_MAX];
    enum id_kind found = id_key_kind(key);
    if (*kind != ID_ANY && *kind != found)
        return dp_fail(error, DP_INVALID,
                       "the id %s has type %s, but the others have type %s: all ids of a "
                       "namespace have one type",
                       id_describe(key, text), id_kind_name(found), id_kind_name(*kind));
    *kind = found;
    return DP_OK;
}

const char *id_describe(struct span key, char out[ID_TEXT_MAX])
{
    struct index_id id;
    char uuid[UUID_TEXT_LEN];
    if (!id_decode(key, uuid, &id))
        snprintf(out, ID_TEXT_MAX, "(unreadable)");
    else if (id.is_string)
        snprintf(out, ID_TEXT_MAX, "\"%.*s\"", SPAN_FMT(id.text));
    else
        snprintf(out, ID_TEXT_MAX, "%" PRIu64, id.number);
    return out;
}
