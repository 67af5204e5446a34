/* config_print.c: prints the table of settings for people: --help, the reference page, .env.example. */
#include "config/settings.h"

enum { HELP_COLUMN = 32, HELP_WIDTH = 100 };

/* Returns a setting's default, in words or as a value, or NULL if it has none. */
static const char *initial_of(const struct setting *s)
{
    return s->initial_help ? s->initial_help : s->initial && *s->initial ? s->initial : NULL;
}

/* Prints words between HELP_COLUMN and HELP_WIDTH, on several lines if needed. at: the column at which the
 * output continues. */
static void print_wrapped(FILE *out, int at, const char *text)
{
    if (at + 2 > HELP_COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - at, "");
    at = HELP_COLUMN;
    while (*text) {
        int len = (int)strcspn(text, " ");
        if (at > HELP_COLUMN && at + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        }
        at += fprintf(out, "%s%.*s", at > HELP_COLUMN ? " " : "", len, text);
        text += len;
        text += *text == ' ';
    }
    fputc('\n', out);
}

void config_print_entry(FILE *out, const char *typed, const char *text)
{
    print_wrapped(out, fprintf(out, "  %s", typed), text);
}

static void print_setting(FILE *out, const struct setting *s)
{
    char typed[128], text[512];
    const char *initial = initial_of(s);
    snprintf(typed, sizeof typed, "%s%s%s", s->flag, s->meta ? " " : "", s->meta ? s->meta : "");
    snprintf(text, sizeof text, "%s [%s%s%s]", s->help, s->variables[0], initial ? "; default: " : "",
             initial ? initial : "");
    config_print_entry(out, typed, text);
}

void config_print_some(FILE *out, const char *flags)
{
    while (*flags) {
        const size_t len = strcspn(flags, " ");
        for (size_t i = 0; i < SETTING_COUNT; i++)
            if (SETTINGS[i].flag && span_equal_str(span_of(flags, len), SETTINGS[i].flag))
                print_setting(out, &SETTINGS[i]);
        flags += len;
        flags += *flags == ' ';
    }
}

void config_print_help(FILE *out, unsigned groups)
{
    for (enum setting_section g = 0; g < SECTION_COUNT; g++) {
        if (!(setting_groups(g) & groups))
            continue;
        fprintf(out, "\n%s:\n", setting_section_title(g));
        for (size_t i = 0; i < SETTING_COUNT; i++) {
            const struct setting *s = &SETTINGS[i];
            if (s->section == g && s->flag)
                print_setting(out, s);
        }
        if (g == SECTION_S3)
            print_wrapped(out, 0,
                          "Keys come from the environment variables of AWS's tools; docs/configuration.md "
                          "lists every variable.");
        if (g == SECTION_AZURE)
            print_wrapped(
                out, 0,
                "Credentials come from the environment variables of Azure's tools; docs/configuration.md "
                "lists every variable.");
    }
}

/* Prints text into a cell of a Markdown table, and escapes '|'. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

void config_print_reference(FILE *out)
{
    fputs(
        "# Settings\n\n"
        "<!-- Made from the table in src/config/config_table.c by scripts/gen-config-docs: do not edit. -->\n\n"
        "A flag wins over the environment, the environment over the settings file, the file over the default.\n"
        "The file is `dipper.toml` in the working folder, or the one that `--config` or `DIPPER_CONFIG` names.\n"
        "An empty variable counts as unset. A value that is not allowed stops the program with an error that "
        "names\n"
        "the setting, the source of the value and the allowed values. The program does not check a value that\n"
        "another source overrides. Every subcommand accepts every flag; its `--help-all` lists the settings that "
        "it\n"
        "uses, and it reads the variables of these settings only.\n\n"
        "Variables without `DIPPER_` (`HOST`, `PORT`, `WORKERS`, `DATABASE_URL` and others) are FastEmbed's\n"
        "names, and other programs use them too. If the value of such a variable does not fit its setting, the\n"
        "program ignores it and warns. `HOST` must be an address or `localhost`, because conda and tcsh set it to "
        "the name of a\n"
        "machine. The variables that Kubernetes sets for a Service called `dipper` (`DIPPER_PORT=tcp://…`) are\n"
        "ignored too. The variables of the clouds' tools (`AWS_…`, `GOOGLE_…`, `AZURE_…`) have the meaning that "
        "these tools "
        "give them.\n\n"
        "Sizes are bytes, or a number with `KiB`, `MiB` or `GiB`; times are seconds, or a number with `ms`, `s`,\n"
        "`m` or `h`. In the file, one with a unit is a string: `max_body_bytes = \"16MiB\"`.\n",
        out);
    for (enum setting_section g = 0; g < SECTION_COUNT; g++) {
        fprintf(out,
                "\n## %s\n\n| setting | flag | environment | default | what it does | allowed |\n"
                "|---|---|---|---|---|---|\n",
                setting_section_title(g));
        for (size_t i = 0; i < SETTING_COUNT; i++) {
            const struct setting *s = &SETTINGS[i];
            char allowed[SETTING_ALLOWED_MAX];
            if (s->section != g)
                continue;
            setting_allowed(s, allowed);
            fprintf(out, s->not_in_file ? "| |" : "| `%s` |", s->name);
            if (s->flag)
                fprintf(out, " `%s%s%s`", s->flag, s->meta ? " " : "", s->meta ? s->meta : "");
            fprintf(out, " | `%s`", s->variables[0]);
            for (size_t v = 1; v < SETTING_VARIABLES_MAX && s->variables[v]; v++)
                fprintf(out, ", `%s`", s->variables[v]);
            fputs(" | ", out);
            print_cell(out, initial_of(s) ? initial_of(s) : "");
            fputs(" | ", out);
            print_cell(out, s->help);
            fputs(" | ", out);
            print_cell(out, allowed);
            fputs(" |\n", out);
        }
    }
    fputs("\nAn example of the file:\n\n```toml\nroot = \"/srv/dipper\"\n\n[server]\nport = 8080\n"
          "request_threads = 32\n\n[limits]\nmax_body_bytes = \"32MiB\"\nrequest_timeout = \"20s\"\n```\n",
          out);
}

void config_print_env_example(FILE *out)
{
    fputs("# The environment variables that Dipper reads, at their defaults. Copy this file to .env, change what\n"
          "# you need, and set the variables before Dipper starts, because it does not read .env itself:\n"
          "#     set -a; . ./.env; set +a; dipper serve     in a shell\n"
          "#     EnvironmentFile=/etc/dipper.env            in a unit of systemd\n"
          "#     --env-file .env                            for docker run\n"
          "# Made by scripts/gen-config-docs; docs/configuration.md has more.\n",
          out);
    for (enum setting_section g = 0; g < SECTION_COUNT; g++) {
        fprintf(out, "\n# ---- %s\n", setting_section_title(g));
        for (size_t i = 0; i < SETTING_COUNT; i++) {
            const struct setting *s = &SETTINGS[i];
            if (s->section != g)
                continue;
            fprintf(out, "# %s%s%s%s\n#%s=%s\n", s->help, s->initial_help ? " Default: " : "",
                    s->initial_help ? s->initial_help : "", s->initial_help ? "." : "", s->variables[0],
                    s->initial ? s->initial : "");
        }
    }
}
