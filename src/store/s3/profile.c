/* s3/profile.c: reads the profile files of AWS tools (see s3/profile.h). */
#include "store/s3/profile.h"

#include <stddef.h>

static const struct {
    const char *key;
    size_t offset;
} KEYS[] = {
    {"aws_access_key_id", offsetof(struct aws_profile, access_key_id)},
    {"aws_secret_access_key", offsetof(struct aws_profile, secret_access_key)},
    {"aws_session_token", offsetof(struct aws_profile, session_token)},
    {"region", offsetof(struct aws_profile, region)},
    {"endpoint_url", offsetof(struct aws_profile, endpoint_url)},
    {"ca_bundle", offsetof(struct aws_profile, ca_bundle)},
    {"role_arn", offsetof(struct aws_profile, role_arn)},
    {"role_session_name", offsetof(struct aws_profile, role_session_name)},
    {"web_identity_token_file", offsetof(struct aws_profile, web_identity_token_file)},
    {"source_profile", offsetof(struct aws_profile, source_profile)},
    {"credential_source", offsetof(struct aws_profile, credential_source)},
    {"credential_process", offsetof(struct aws_profile, credential_process)},
    {"sso_start_url", offsetof(struct aws_profile, sso_start_url)},
    {"sso_session", offsetof(struct aws_profile, sso_session)},
};

static bool is_profile_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span profile_trimmed(struct span s)
{
    while (s.len && is_profile_blank(s.data[0]))
        s = span_of(s.data + 1, s.len - 1);
    while (s.len && is_profile_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* Returns the line without its comment. A comment begins with '#' or ';' after a blank. */
static struct span without_comment(struct span line)
{
    for (size_t i = 1; i < line.len; i++)
        if ((line.data[i] == '#' || line.data[i] == ';') && is_profile_blank(line.data[i - 1]))
            return span_of(line.data, i);
    return line;
}

/* Reads the header "[…]" of a section. *profile is the name of its profile, or empty if the section is of another
 * kind. Returns false without ']'. */
static bool read_section(struct span line, enum aws_profile_file kind, struct span *profile)
{
    const uint8_t *end = memchr(line.data, ']', line.len);
    if (!end)
        return false;
    struct span name = profile_trimmed(span_of(line.data + 1, (size_t)(end - line.data) - 1));
    *profile = name;
    if (kind == AWS_CREDENTIALS_FILE || span_equal_str(name, "default"))
        return true;
    struct span word = span_str("profile");
    bool is_profile = span_starts_with(name, word) && name.len > word.len && is_profile_blank(name.data[word.len]);
    *profile = is_profile ? profile_trimmed(span_of(name.data + word.len, name.len - word.len)) : (struct span){0};
    return true;
}

static void take_value(struct aws_profile *out, struct span key, struct span value)
{
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        if (span_equal_str(key, KEYS[i].key)) {
            struct span *to = (struct span *)(void *)((char *)out + KEYS[i].offset);
            if (to->len == 0)
                *to = value;
        }
    }
}

enum dp_status aws_profile_read(const char *path, struct span text, enum aws_profile_file kind,
                                struct span profile, struct aws_profile *out, struct dp_error *error)
{
    bool inside = false;
    if (span_starts_with(text, span_str("\xef\xbb\xbf")))
        text = span_of(text.data + 3, text.len - 3);
    for (unsigned number = 1; text.len; number++) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.data) : text.len;
        struct span line = span_of(text.data, len), content = profile_trimmed(line);
        text = newline ? span_of(newline + 1, text.len - len - 1) : (struct span){0};
        if (content.len == 0 || content.data[0] == '#' || content.data[0] == ';')
            continue;
        if (content.data[0] == '[') {
            struct span name;
            if (!read_section(content, kind, &name))
                return dp_fail(error, DP_INVALID, "%s, line %u: a section's name does not end in ']'", path,
                               number);
            inside = name.len && span_equal(name, profile);
            out->found |= inside;
            continue;
        }
        if (is_profile_blank(line.data[0])) /* an indented line belongs to the key before it */
            continue;
        content = profile_trimmed(without_comment(content));
        const uint8_t *equals = memchr(content.data, '=', content.len);
        if (!equals)
            return dp_fail(error, DP_INVALID, "%s, line %u: expected \"key = value\"", path, number);
        size_t at = (size_t)(equals - content.data);
        if (inside)
            take_value(out, profile_trimmed(span_of(content.data, at)),
                       profile_trimmed(span_of(equals + 1, content.len - at - 1)));
    }
    return DP_OK;
}
