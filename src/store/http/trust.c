/* trust.c: finds the certificates to trust (see trust.h). */
#include "store/trust.h"

#include <ctype.h>
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK_BYTES = 64 << 10, HASH_DIGITS = 8 };

/* The end of a BEGIN line, so that it also matches "TRUSTED CERTIFICATE" and "X509 CERTIFICATE". */
static const char BEGIN_CERTIFICATE[] = "CERTIFICATE-----";

/* ---- files and folders ------------------------------------------------------------------------------ */

/* Returns whether the file has a certificate in PEM. Sets errno to 0 if it could read the file. */
static bool file_has_certificate(const char *path)
{
    char chunk[CHUNK_BYTES + sizeof BEGIN_CERTIFICATE];
    size_t kept = 0, got = 1;
    bool found = false;
    FILE *in = fopen(path, "re");
    if (!in)
        return false;
    errno = 0;
    while (!found && got > 0) {
        got = fread(chunk + kept, 1, CHUNK_BYTES, in);
        size_t have = kept + got;
        found = memmem(chunk, have, BEGIN_CERTIFICATE, sizeof BEGIN_CERTIFICATE - 1) != NULL;
        kept = have < sizeof BEGIN_CERTIFICATE - 2 ? have : sizeof BEGIN_CERTIFICATE - 2;
        memmove(chunk, chunk + have - kept, kept);
    }
    int failed = ferror(in) ? errno : 0;
    fclose(in);
    errno = failed;
    return found;
}

/* Returns whether the file name is a certificate's hash: "5ed36f99.0". */
static bool is_hash_name(const char *name)
{
    for (int i = 0; i < HASH_DIGITS; i++)
        if (!isxdigit((unsigned char)name[i]))
            return false;
    return name[HASH_DIGITS] == '.' && isdigit((unsigned char)name[HASH_DIGITS + 1]);
}

/* Returns whether the folder has certificates by hash, as `openssl rehash` names them. Sets errno to 0 if it could
 * read the folder. */
static bool folder_has_certificate(const char *path)
{
    bool found = false;
    DIR *stream = opendir(path);
    if (!stream)
        return false;
    errno = 0;
    for (const struct dirent *entry = readdir(stream); entry && !found; entry = readdir(stream))
        found = is_hash_name(entry->d_name);
    int failed = found ? 0 : errno;
    closedir(stream);
    errno = failed;
    return found;
}

/* ---- certificates of the system --------------------------------------------------------------------- */

bool trust_find_system(const char *root, struct trust *out)
{
    static const char *const files[] = {
        "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Alpine, Gentoo, Arch */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL, Amazon Linux */
        "/etc/pki/tls/certs/ca-bundle.crt",                  /* older versions of Fedora, RHEL and Amazon Linux */
        "/var/lib/ca-certificates/ca-bundle.pem",            /* SUSE */
        "/etc/ssl/ca-bundle.pem",                            /* older versions of SUSE */
        "/etc/ssl/certs/ca-bundle.crt",                      /* NixOS; a link on other systems */
        "/etc/ssl/cert.pem",                                 /* Alpine without ca-certificates, OpenWrt, BSDs */
        "/etc/ca-certificates/extracted/tls-ca-bundle.pem",  /* Arch */
        "/usr/share/ssl/certs/ca-bundle.crt",
    };
    static const char *const folders[] = {"/etc/ssl/certs", "/etc/pki/tls/certs",
                                          "/var/lib/ca-certificates/openssl"};
    out->named = true;
    out->folders[0] = '\0';
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(out->file, sizeof out->file, "%s%s", root, files[i]);
        if (file_has_certificate(out->file))
            return true;
    }
    out->file[0] = '\0';
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(out->folders, sizeof out->folders, "%s%s", root, folders[i]);
        if (folder_has_certificate(out->folders))
            return true;
    }
    out->folders[0] = '\0';
    return false;
}

/* Chooses the file or folder that libcurl was built with if it holds certificates, else the first known place that
 * does. */
static void take_system(struct trust *out)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    const char *file = info->age >= CURLVERSION_SEVENTH ? info->cainfo : NULL;
    const char *folder = info->age >= CURLVERSION_SEVENTH ? info->capath : NULL;
    if ((setting_is_set(file) && file_has_certificate(file)) ||
        (!setting_is_set(file) && setting_is_set(folder) && folder_has_certificate(folder))) {
        snprintf(out->file, sizeof out->file, "%s", setting_is_set(file) ? file : "");
        snprintf(out->folders, sizeof out->folders, "%s", setting_is_set(folder) ? folder : "");
        return;
    }
    if (trust_find_system("", out))
        return;
    out->status = dp_fail(&out->error, DP_INVALID,
                          "this system has no certificates in the usual places: install "
                          "ca-certificates, or name a file with --ca-file, AWS_CA_BUNDLE or SSL_CERT_FILE");
}

/* ---- certificates that settings name ---------------------------------------------------------------- */

/* Chooses the file or folder at `path`. `from` is the name of the setting that names the path. */
static void take_named(const char *path, const char *from, struct trust *out)
{
    char reason[128];
    struct stat info;
    out->named = true;
    out->file[0] = out->folders[0] = '\0';
    if (strlen(path) >= sizeof out->file) {
        out->status = dp_fail(&out->error, DP_INVALID, "the path that %s names is too long", from);
        return;
    }
    bool there = stat(path, &info) == 0, folder = there && S_ISDIR(info.st_mode);
    errno = there ? 0 : errno;
    /* Only regular files: a pipe could be read only once. */
    bool file = there && S_ISREG(info.st_mode);
    if ((folder && folder_has_certificate(path)) || (file && file_has_certificate(path))) {
        snprintf(folder ? out->folders : out->file, PATH_MAX, "%s", path);
        return;
    }
    if (errno)
        out->status =
            dp_fail(&out->error, DP_INVALID, "cannot read the certificates to trust in %s, which %s names: %s",
                    path, from, strerror_r(errno, reason, sizeof reason));
    else
        out->status =
            dp_fail(&out->error, DP_INVALID, "%s, which %s names, holds no certificate to trust: %s", path, from,
                    folder ? "run `openssl rehash` on the folder" : "it must be a file in PEM");
}

/* Adds the folders if one of them has certificates. */
static void add_folders(const char *folders, const char *from, struct trust *out)
{
    char one[PATH_MAX];
    bool usable = false;
    if (strlen(folders) >= sizeof out->folders) {
        out->status = dp_fail(&out->error, DP_INVALID, "the folders that %s names are too many", from);
        return;
    }
    for (const char *at = folders; *at && !usable;) {
        size_t len = strcspn(at, ":");
        snprintf(one, sizeof one, "%.*s", (int)len, at);
        usable = len && folder_has_certificate(one);
        at += len + (at[len] == ':');
    }
    if (usable) {
        out->named = true;
        snprintf(out->folders, sizeof out->folders, "%s", folders);
    } else if (!*out->file) {
        out->status =
            dp_fail(&out->error, DP_INVALID,
                    "%s, which %s names, holds no certificate to trust: run `openssl rehash` on the folder",
                    folders, from);
    }
}

void trust_find(const struct trust_settings *s, struct trust *out)
{
    *out = (struct trust){.status = DP_OK};
    if (setting_is_set(s->file))
        take_named(s->file, s->file_from, out);
    else if (setting_is_set(s->profile_file))
        take_named(s->profile_file, s->profile_from, out);
    else if (setting_is_set(s->other_file))
        take_named(s->other_file, s->other_from, out);
    else
        take_system(out);
    /* Named folders can replace missing certificates of the system, but not those of a named file that is
     * wrong. */
    bool in_vain = out->status != DP_OK &&
                   (setting_is_set(s->file) || setting_is_set(s->profile_file) || setting_is_set(s->other_file));
    if (setting_is_set(s->folders) && !in_vain) {
        out->status = DP_OK;
        add_folders(s->folders, s->folders_from, out);
    }
}
