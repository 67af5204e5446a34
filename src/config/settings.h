/* config/settings.h: what one setting is, and its values as text; private to this room and its tests. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "config/config.h"

enum setting_type {
    SETTING_TEXT,     /* struct span; min, max: its length in bytes */
    SETTING_INTEGER,  /* int64_t */
    SETTING_BOOLEAN,  /* bool */
    SETTING_BYTES,    /* int64_t: a number, or one with KiB, MiB, GiB */
    SETTING_DURATION, /* int64_t milliseconds: seconds, or a number with ms, s, m, h */
    SETTING_CHOICE,   /* int64_t: the place among `choices` */
    SETTING_LISTEN    /* ADDRESS:PORT: the span at `offset` and the int64_t at `port_offset` */
};

enum { SETTING_VARIABLES_MAX = 2 };

struct setting {
    const char *name;                             /* its key in dipper.toml; messages use it too */
    const char *flag;                             /* with the dashes */
    const char *variables[SETTING_VARIABLES_MAX]; /* the first that is set wins; an empty value is unset */
    enum setting_type type;
    int64_t min, max;
    const char *const *choices; /* NULL-ended */
    const char *initial;        /* the default as text; NULL: none (unset, or set through another setting) */
    const char *initial_help;   /* what the default means, when its text does not tell; or NULL */
    const char *meta;           /* what stands for the value in help */
    const char *help;
    unsigned group;
    bool secret;
    size_t offset, port_offset; /* in the struct that is filled */
};

/* Parses `text` and stores it in `target`; strings are copied into `arena`. DP_INVALID: `allowed` tells what would
 * do. */
enum dp_status setting_store(const struct setting *s, void *target, struct span text, struct arena *arena,
                             char *allowed, size_t allowed_size);
/* The text of the stored value, as it could be given; secrets come as "(hidden)" unless unset. */
void setting_print(const struct setting *s, const void *target, struct buffer *out);
/* What the setting takes: "a whole number from 0 to 65535". */
void setting_allowed(const struct setting *s, char *out, size_t size);

/* The table (config_table.c). */
extern const struct setting SETTINGS[];
extern const size_t SETTING_COUNT;

/* The same as config.h's functions, over any table and any struct; `origins` has a place a setting. */
struct settings {
    const struct setting *table;
    size_t count;
    void *target;
    struct config_origin *origins;
    struct arena *arena;
};
enum dp_status settings_load(const struct settings *s, const struct config_sources *sources, char ***rest,
                             int *rest_count, struct span *file, struct dp_error *error);
bool settings_describe(const struct settings *s, size_t i, struct buffer *out);

#endif
