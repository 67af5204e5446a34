/* config/settings.h: a table of settings, and loading it. Private to this room and its tests. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "config/config.h"

enum setting_type {
    SETTING_TEXT,     /* const char *; min (0 or 1) and max are lengths in bytes */
    SETTING_INTEGER,  /* an unsigned integer of 2, 4 or 8 bytes */
    SETTING_BOOLEAN,  /* bool */
    SETTING_BYTES,    /* stored as an integer: a number, perhaps with KiB, MiB, GiB */
    SETTING_DURATION, /* stored as an integer of milliseconds: seconds, or a number with ms, s, m, h */
    SETTING_CHOICE,   /* const char *: one of `choices` */
    SETTING_LISTEN    /* ADDRESS:PORT: the const char * at `offset` and the uint16_t at `port_offset` */
};

/* Sections of the help and of the reference page. */
enum setting_section {
    SECTION_GENERAL,
    SECTION_STORE,
    SECTION_HTTP,
    SECTION_S3,
    SECTION_MODEL,
    SECTION_EMBED_CACHE,
    SECTION_SERVER,
    SECTION_LIMITS,
    SECTION_ACCOUNTS,
    SECTION_COUNT
};

/* A limit that was switched off. */
#define SETTING_NONE UINT64_MAX

enum { SETTING_VARIABLES_MAX = 3, SETTING_ALLOWED_MAX = 200 };

struct setting {
    const char *name;                             /* key in dipper.toml; messages use it too */
    const char *flag;                             /* with the dashes; NULL: environment and file only */
    const char *variables[SETTING_VARIABLES_MAX]; /* the first that is set wins; an empty value is unset */
    enum setting_section section;
    enum setting_type type;
    uint64_t min, max;
    const char *const *choices; /* NULL-ended */
    const char *initial;        /* the default as text; NULL: set through another setting */
    const char *initial_help;   /* explains the default; NULL: its text is enough */
    const char *meta;           /* placeholder of the value in help; NULL for booleans */
    const char *help;
    bool or_none;        /* "none" is allowed, for SETTING_NONE; the quantity has 8 bytes */
    bool secret;         /* shown as "(hidden)"; has no flag, because any user of the machine could read that */
    bool secret_in_url;  /* one or more URLs, shown without passwords (base/masked_url.h) */
    bool not_in_file;    /* the file cannot hold it */
    size_t offset, size; /* in the struct that is filled */
    size_t port_offset;
    bool (*is_for_us)(
        struct span text); /* whether the text of a shared variable is meant for Dipper; NULL: always */
};

/* ---- values (setting_value.c) ----------------------------------------------------------------------- */

/* Parses `text` and stores it in `target`; texts are copied into `arena`. DP_INVALID, DP_NOMEM. */
enum dp_status setting_store(const struct setting *s, void *target, struct span text, struct arena *arena);
/* Appends the stored value as text, with "(hidden)" in place of secrets. */
void setting_print(const struct setting *s, const void *target, struct buffer *out);
/* Appends a value given for the setting, valid or not, without its secrets. */
void setting_mask(const struct setting *s, struct span text, struct buffer *out);
/* Describes the allowed values: "a whole number from 0 to 65535". */
void setting_allowed(const struct setting *s, char out[SETTING_ALLOWED_MAX]);

/* ---- tables (settings_load.c) ----------------------------------------------------------------------- */

enum setting_source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

/* The source of a value. */
struct setting_origin {
    enum setting_source source;
    const char *name; /* "--port", "PORT", the file's path; "" for a default */
    unsigned line;    /* in the file; else 0 */
    unsigned order;   /* number of the value among those stored in one load: the last wins */
};

/* A value that a load passed over. */
struct setting_warning {
    struct setting_warning *next;
    const char *text;
};

struct settings {
    const struct setting *table;
    size_t count;
    void *target;                      /* the struct that is filled */
    struct setting_origin *origins;    /* one for each setting */
    struct arena *arena;               /* of values, names and warnings */
    struct setting_warning **warnings; /* head of the list that a load makes; NULL: no list */
};

/* Does the work of config_load for a table. */
enum dp_status settings_load(const struct settings *s, const struct config_sources *sources,
                             struct dp_error *error);
/* Appends "environment PORT", "--port", "dipper.toml, line 3" or "default". */
void settings_print_origin(const struct settings *s, size_t i, struct buffer *out);
/* Appends "server.port = 8000 (environment PORT)", without a newline. */
void settings_describe(const struct settings *s, size_t i, struct buffer *out);
/* Finds the setting of a flag with or without "=value"; NULL: none. *value becomes the text behind '=', "true" or "false" for
 * a bare boolean, or NULL if the next argument is the value. */
const struct setting *settings_find_flag(const struct settings *s, const char *argument, const char **value);

/* ---- variables that other programs use too (setting_shared.c) ----------------------------------------- */

/* Whether other programs use a variable's name for other things: PORT, DATABASE_URL. A value that does not fit is then passed
 * over with a warning. Names with DIPPER_ are ours; those with AWS_ and S3_ have one meaning everywhere. */
bool setting_variable_is_shared(const char *name);
/* Whether Kubernetes set the variable for a Service called dipper: DIPPER_PORT=tcp://10.0.0.1:8000. */
bool setting_variable_is_of_kubernetes(const char *name, struct span value);
/* These are is_for_us of HOST (an address, or localhost), REDIS_URL and DATABASE_URL. */
bool setting_is_address(struct span text);
bool setting_is_redis(struct span text);
bool setting_is_database(struct span text);

/* The program's table (config_table.c), the groups that use a section, and its title. */
extern const struct setting SETTINGS[];
extern const size_t SETTING_COUNT;
unsigned setting_groups(enum setting_section section);
const char *setting_section_title(enum setting_section section);

#endif
