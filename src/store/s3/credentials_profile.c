/* credentials_profile.c: finds and reads the profile files of AWS tools. */
#include "store/s3/credentials_profile.h"

#include <stdio.h>

#include "os/file.h"

enum { FILE_MAX_BYTES = 1 << 20 };

enum dp_status credentials_home_path(const struct s3_settings *s, const char *name, char path[PATH_MAX],
                                     struct dp_error *error)
{
    if (!setting_is_set(s->home))
        return dp_fail(error, DP_INVALID, "HOME is not set, so there is no ~/.aws/%s", name);
    if (snprintf(path, PATH_MAX, "%s/.aws/%s", s->home, name) >= PATH_MAX)
        return dp_fail(error, DP_INVALID, "the path of ~/.aws/%s is too long", name);
    return DP_OK;
}

/* Finds the path of a profile file: `given`, in which "~/" is the home, or ~/.aws/`name` if that is not set. An empty
 * path: there is no home. */
static enum dp_status find_path(const struct s3_settings *s, const char *given, const char *name,
                                char path[PATH_MAX], struct dp_error *error)
{
    path[0] = '\0';
    if (!setting_is_set(given))
        return setting_is_set(s->home) ? credentials_home_path(s, name, path, error) : DP_OK;
    bool in_home = strncmp(given, "~/", 2) == 0 && setting_is_set(s->home);
    int len =
        in_home ? snprintf(path, PATH_MAX, "%s/%s", s->home, given + 2) : snprintf(path, PATH_MAX, "%s", given);
    if (len >= PATH_MAX)
        return dp_fail(error, DP_INVALID, "the path of the AWS %s file is too long", name);
    return DP_OK;
}

/* Reads a profile file. A missing one counts as empty. */
static enum dp_status read_file(const char *path, struct arena *arena, struct ini_file *out,
                                struct dp_error *error)
{
    struct buffer b;
    *out = (struct ini_file){0};
    if (!*path)
        return DP_OK;
    buffer_init(&b, FILE_MAX_BYTES);
    enum dp_status status = os_read_file(path, &b, error);
    if (status == DP_OK) {
        status = ini_parse(path, buffer_span(&b), arena, out, error);
    } else if (status == DP_NOT_FOUND) {
        dp_error_clear(error);
        status = DP_OK;
    }
    buffer_deinit(&b);
    return status;
}

enum dp_status credentials_profile(const struct s3_settings *s, struct arena *arena, struct aws_files *files,
                                   struct aws_profile *profile, struct dp_error *error)
{
    const char *name = setting_is_set(s->profile) ? s->profile : "default";
    char credentials[PATH_MAX], config[PATH_MAX];
    *files = (struct aws_files){0};
    *profile = (struct aws_profile){0};
    enum dp_status status = find_path(s, s->credentials_file, "credentials", credentials, error);
    if (status == DP_OK)
        status = find_path(s, s->config_file, "config", config, error);
    if (status == DP_OK)
        status = read_file(credentials, arena, &files->credentials, error);
    if (status == DP_OK)
        status = read_file(config, arena, &files->config, error);
    if (status != DP_OK)
        return status;
    aws_profile_find(files, span_str(name), profile);
    if (s->ignore_endpoint_urls)
        profile->ignore_endpoint_urls = span_str("true");
    if (!profile->found && setting_is_set(s->profile))
        return dp_fail(error, DP_NOT_FOUND, "AWS_PROFILE names \"%s\", which is neither in %s nor in %s", name,
                       *credentials ? credentials : "~/.aws/credentials", *config ? config : "~/.aws/config");
    return status;
}
