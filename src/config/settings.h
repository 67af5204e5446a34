/* config/settings.h: describes a table of settings, and loads their values. Private to this room and its tests. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "config/config.h"

enum setting_type {
    SETTING_TEXT,     /* const char *; min (0 or 1) and max are lengths in bytes */
    SETTING_INTEGER,  /* an unsigned integer of 2, 4 or 8 bytes */
    SETTING_BOOLEAN,  /* bool */
    SETTING_BYTES,    /* a number of bytes, or a number with KiB, MiB or GiB; stored as an integer */
    SETTING_DURATION, /* seconds, or a number with ms, s, m or h; stored as an integer of milliseconds */
    SETTING_CHOICE,   /* const char *: one of `choices` */
    SETTING_LISTEN    /* ADDRESS:PORT: the const char * at `offset` and the uint16_t at `port_offset` */
};

/* Sections of the help and of the reference page. */
enum setting_section {
    SECTION_GENERAL,
    SECTION_STORE,
    SECTION_HTTP,
    SECTION_S3,
    SECTION_GCS,
    SECTION_AZURE,
    SECTION_MODEL,
    SECTION_EMBED_CACHE,
    SECTION_SERVER,
    SECTION_LIMITS,
    SECTION_ACCOUNTS,
    SECTION_COUNT
};

/* The stored value of "none": the setting has no limit. */
#define SETTING_NONE UINT64_MAX

enum { SETTING_VARIABLES_MAX = 3, SETTING_ALLOWED_MAX = 200 };

/* One setting: its names, its type and allowed values, its help, and its place in the struct that a load fills. */
struct setting {
    const char *name;                             /* key in dipper.toml; messages use it too */
    const char *flag;                             /* with the dashes; NULL: environment and file only */
    const char *variables[SETTING_VARIABLES_MAX]; /* the first that is set wins; an empty value is unset */
    enum setting_section section;
    enum setting_type type;
    uint64_t min, max;
    const char *const *choices; /* ends with NULL */
    const char *initial;        /* default as text; NULL: another setting of the same field has the default */
    const char *initial_help;   /* explains the default; NULL: `initial` says enough */
    const char *meta;           /* placeholder of the value in help; NULL for booleans */
    const char *help;
    bool or_none;        /* "none" is allowed and stored as SETTING_NONE, in 8 bytes */
    bool secret;         /* shown as "(hidden)"; has no flag, because other users of the machine can read flags */
    bool secret_in_url;  /* one or more URLs, shown without passwords (base/masked_url.h) */
    bool adds;           /* a repeated flag whose value has a name (named_list.h) adds to the values before it */
    bool not_in_file;    /* the file cannot hold it */
    size_t offset, size; /* of its field in the struct that a load fills */
    size_t port_offset;
    bool (*is_for_us)(
        struct span text); /* true if the text of a shared variable is meant for Dipper; NULL: always */
};

/* ---- values (setting_value.c) ----------------------------------------------------------------------- */

/* Parses `text` and stores it in `target`. Copies texts into `arena`. DP_INVALID, DP_NOMEM. */
enum dp_status setting_store(const struct setting *s, void *target, struct span text, struct arena *arena);
/* Appends the stored value as text, with "(hidden)" in place of secrets. */
void setting_print(const struct setting *s, const void *target, struct buffer *out);
/* Appends any text that was given for the setting, valid or not, with its secrets masked. */
void setting_mask(const struct setting *s, struct span text, struct buffer *out);
/* Describes the allowed values: "a whole number from 0 to 65535". */
void setting_allowed(const struct setting *s, char out[SETTING_ALLOWED_MAX]);

/* ---- tables (settings_load.c) ----------------------------------------------------------------------- */

enum setting_source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

/* The source of a value. */
struct setting_origin {
    enum setting_source source;
    const char *name; /* "--port", "PORT", the file's path; "" for a default */
    unsigned line;    /* line in the file; else 0 */
    unsigned order;   /* a value that the load stored later has a higher number, and wins */
};

/* A warning about a value that a load ignored. */
struct setting_warning {
    struct setting_warning *next;
    const char *text;
};

/* A table of settings, and the struct that a load fills from it. */
struct settings {
    const struct setting *table;
    size_t count;
    void *target;                      /* the struct that a load fills */
    struct setting_origin *origins;    /* [count] */
    struct arena *arena;               /* memory of values, names and warnings */
    struct setting_warning **warnings; /* receives the list of warnings; NULL: the load drops them */
};

/* Fills the target and the origins from the sources. Fails as config_load does. */
enum dp_status settings_load(const struct settings *s, const struct config_sources *sources,
                             struct dp_error *error);
/* Appends "environment PORT", "--port", "dipper.toml, line 3" or "default". */
void settings_print_origin(const struct settings *s, size_t i, struct buffer *out);
/* Appends "server.port = 8000 (environment PORT)", without a newline. */
void settings_describe(const struct settings *s, size_t i, struct buffer *out);
/* Returns the setting whose flag is `argument`, with or without "=value"; NULL: no setting has this flag. Sets
 * *value to the text behind '=', to "true" or "false" for a bare boolean flag, or to NULL if the next argument is the
 * value. */
const struct setting *settings_find_flag(const struct settings *s, const char *argument, const char **value);

/* ---- variables that other programs use too (setting_shared.c) ----------------------------------------- */

/* Returns true if other programs give a variable of this name another meaning, as they do with PORT and
 * DATABASE_URL. If the value of such a variable does not fit, a load ignores it with a warning. Names with DIPPER_
 * are ours; names with AWS_, S3_, GOOGLE_ and AZURE_ mean the same in all programs. */
bool setting_variable_is_shared(const char *name);
/* Returns true if Kubernetes set the variable for a Service called dipper: DIPPER_PORT=tcp://10.0.0.1:8000. */
bool setting_variable_is_of_kubernetes(const char *name, struct span value);
/* HOST (an address, or localhost), REDIS_URL and DATABASE_URL use these functions as is_for_us. */
bool setting_is_address(struct span text);
bool setting_is_redis(struct span text);
bool setting_is_database(struct span text);

/* The program's table (config_table.c), the groups that use a section, and its title. */
extern const struct setting SETTINGS[];
extern const size_t SETTING_COUNT;
unsigned setting_groups(enum setting_section section);
const char *setting_section_title(enum setting_section section);

#endif
