/* config_print.c: the settings' table as people read it: --help, the reference page, .env.example. */
#include "config/settings.h"

enum { HELP_COLUMN = 32, HELP_WIDTH = 100 };

/* What the default is, in words or as text; NULL when there is none to tell. */
static const char *initial_of(const struct setting *s)
{
    return s->initial_help ? s->initial_help : s->initial && *s->initial ? s->initial : NULL;
}

/* Writes words from HELP_COLUMN on, breaking lines at HELP_WIDTH; the first line is at column `at` already. */
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

void config_print_help(FILE *out, unsigned groups)
{
    for (enum setting_section g = 0; g < SECTION_COUNT; g++) {
        if (!(setting_groups(g) & groups))
            continue;
        fprintf(out, "\n%s:\n", setting_section_title(g));
        for (size_t i = 0; i < SETTING_COUNT; i++) {
            const struct setting *s = &SETTINGS[i];
            if (s->section != g || !s->flag)
                continue;
            char text[512];
            const char *initial = initial_of(s);
            snprintf(text, sizeof text, "%s [%s%s%s]", s->help, s->variables[0], initial ? "; default: " : "",
                     initial ? initial : "");
            int at = fprintf(out, "  %s%s%s", s->flag, s->meta ? " " : "", s->meta ? s->meta : "");
            print_wrapped(out, at, text);
        }
        if (g == SECTION_S3)
            print_wrapped(out, 0,
                          "Keys come from the environment, as AWS's own tools take them; docs/configuration.md "
                          "lists every variable.");
    }
}

/* Writes text for a cell of a Markdown table. */
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
        "A variable that is empty counts as unset. A value that is not allowed stops the program, which then\n"
        "names the setting, where the value came from and what is allowed; a value that another one wins over is\n"
        "not looked at. Every subcommand takes every flag; its `--help` lists those that matter to it, and these\n"
        "are those whose variables it reads.\n\n"
        "Variables without `DIPPER_` (`HOST`, `PORT`, `WORKERS`, `DATABASE_URL` and others) are FastEmbed's "
        "names, "
        "and\n"
        "other programs' too: one that does not fit its setting is passed over, with a warning that names it.\n"
        "`HOST` must be an address or `localhost`, as conda and tcsh put names of machines there. What\n"
        "Kubernetes sets for a Service called `dipper` (`DIPPER_PORT=tcp://…`) is passed over too. The variables "
        "of\n"
        "AWS's tools (`AWS_…`) mean the same here as there.\n\n"
        "Sizes are bytes, or a number with `KiB`, `MiB` or `GiB`; times are seconds, or a number with `ms`, `s`,\n"
        "`m` or `h`. In the file these two are strings when they have a unit: `max_body_bytes = \"16MiB\"`.\n",
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
          "# you need, and have them set before Dipper starts, as it reads no .env by itself:\n"
          "#     set -a; . ./.env; set +a; dipper serve     in a shell\n"
          "#     EnvironmentFile=/etc/dipper.env            in a unit of systemd\n"
          "#     --env-file .env                            for docker run\n"
          "# Made by scripts/gen-config-docs; docs/configuration.md tells more.\n",
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
