/* bucket_root.c: bucket and prefix of a root (see bucket_root.h). */
#include "store/bucket_root.h"

#include "store/implement.h"

static enum dp_status check_bucket(struct call *call, const struct bucket_names *names, struct span bucket)
{
    bool good = bucket.len >= names->least && bucket.len <= names->most;
    for (size_t i = 0; i < bucket.len && good; i++) {
        uint8_t c = bucket.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        good = letter || (c >= '0' && c <= '9') || (c && i > 0 && strchr(names->inner, c));
    }
    if (good)
        return DP_OK;
    for (size_t i = 0; i < bucket.len; i++)
        if (bucket.data[i] == ':' || bucket.data[i] == '@') /* perhaps a password */
            return call_fail(
                call, DP_INVALID,
                "root %s://…: %s has no user or password before it: write %s://bucket/prefix, and set %s",
                names->scheme, names->what, names->scheme, names->secrets);
    return call_fail(call, DP_INVALID, "root %s://%.*s: \"%.*s\" is not %s: write %s://bucket/prefix",
                     names->scheme, SPAN_FMT(bucket), SPAN_FMT(bucket), names->what, names->scheme);
}

enum dp_status bucket_root_split(struct call *call, const struct bucket_names *names, struct span name,
                                 struct arena *arena, struct bucket_root *out)
{
    const uint8_t *slash = name.len ? memchr(name.data, '/', name.len) : NULL;
    struct span bucket = span_of(name.data, slash ? (size_t)(slash - name.data) : name.len);
    struct span prefix = slash ? span_of(slash + 1, name.len - bucket.len - 1) : (struct span){0};
    enum dp_status status = check_bucket(call, names, bucket);
    if (status != DP_OK)
        return status;
    while (prefix.len && prefix.data[prefix.len - 1] == '/')
        prefix.len--;
    if (prefix.len && store_key_check(prefix, &call->error) != DP_OK)
        return call_fail(call, DP_INVALID,
                         "root %s://%.*s: the prefix has an empty, \".\" or \"..\" part, or bytes "
                         "that names cannot have",
                         names->scheme, SPAN_FMT(name));
    const char *slashed = prefix.len ? "/" : "";
    const char *with_slash = arena_printf(arena, "%.*s%s", SPAN_FMT(prefix), slashed);
    out->bucket = arena_copy(arena, bucket);
    out->url = arena_printf(arena, "%s://%.*s%s%.*s", names->scheme, SPAN_FMT(bucket), slashed, SPAN_FMT(prefix));
    if (!out->bucket.data || !with_slash || !out->url)
        return call_nomem(call, "a store");
    out->prefix = span_str(with_slash);
    return DP_OK;
}
