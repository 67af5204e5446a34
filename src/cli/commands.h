/* cli/commands.h: declares the commands. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/args.h"

extern const struct cli_command cli_embed_command;
extern const struct cli_command cli_index_command;
extern const struct cli_command cli_search_command;
extern const struct cli_command cli_serve_command;
extern const struct cli_command cli_faiss_command;
extern const struct cli_command cli_model_command;
extern const struct cli_command cli_key_command;
extern const struct cli_command cli_index_worker_command;
extern const struct cli_command cli_namespace_command;
extern const struct cli_command cli_usage_command;
extern const struct cli_command cli_bench_command;
extern const struct cli_command cli_config_command;
extern const struct cli_command cli_doctor_command;

#endif
