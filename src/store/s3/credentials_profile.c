/* credentials_profile.c: finds and reads the profile files of AWS tools. */
#include "store/s3/credentials_profile.h"

#include <limits.h>
#include <stdio.h>

#include "os/file.h"

enum { FILE_MAX_BYTES = 1 << 20 };

/* Reads `path`, or ~/.aws/`name` if `path` is not set, into the arena. A missing file counts as empty. */
static enum dp_status read_file(const struct s3_settings *s, const char *path, const char *name,
                                struct arena *arena, char where[PATH_MAX], struct span *text,
                                struct dp_error *error)
{
    *text = (struct span){0};
    if (!setting_is_set(path) && !setting_is_set(s->home))
        return DP_OK;
    int len = setting_is_set(path) ? snprintf(where, PATH_MAX, "%s", path)
                                   : snprintf(where, PATH_MAX, "%s/.aws/%s", s->home, name);
    if (len >= PATH_MAX)
        return dp_fail(error, DP_INVALID, "the path of the AWS %s file is too long", name);
    struct buffer b;
    buffer_init(&b, FILE_MAX_BYTES);
    enum dp_status status = os_read_file(where, &b, error);
    if (status == DP_OK) {
        *text = arena_copy(arena, buffer_span(&b));
        if (!text->data)
            status = dp_fail_nomem(error, "the AWS profile files");
    } else if (status == DP_NOT_FOUND) {
        dp_error_clear(error);
        status = DP_OK;
    }
    buffer_deinit(&b);
    return status;
}

enum dp_status credentials_profile(const struct s3_settings *s, struct arena *arena, struct aws_profile *profile,
                                   struct dp_error *error)
{
    const char *name = setting_is_set(s->profile) ? s->profile : "default";
    char keys_path[PATH_MAX] = "", config_path[PATH_MAX] = "";
    struct span keys, config;
    *profile = (struct aws_profile){0};
    enum dp_status status = read_file(s, s->credentials_file, "credentials", arena, keys_path, &keys, error);
    if (status == DP_OK)
        status = read_file(s, s->config_file, "config", arena, config_path, &config, error);
    if (status == DP_OK)
        status = aws_profile_read(keys_path, keys, AWS_CREDENTIALS_FILE, span_str(name), profile, error);
    if (status == DP_OK)
        status = aws_profile_read(config_path, config, AWS_CONFIG_FILE, span_str(name), profile, error);
    if (status == DP_OK && !profile->found && setting_is_set(s->profile))
        return dp_fail(error, DP_NOT_FOUND, "AWS_PROFILE names \"%s\", which is neither in %s nor in %s", name,
                       *keys_path ? keys_path : "~/.aws/credentials",
                       *config_path ? config_path : "~/.aws/config");
    return status;
}
