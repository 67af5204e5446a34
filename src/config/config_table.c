/* config_table.c: every setting of the program, once. */
#include "config/settings.h"

/* A table reads better than one line a field. */
/* clang-format off */
enum {
    PATH_BYTES = 4095, NAME_BYTES = 255, TEXT_BYTES = 4096, KEY_BYTES = 16384,
    KIB = 1 << 10, GIB = 1 << 30, SECOND = 1000, HOUR = 3600000
};

static const char *const ENGINES[] = {"native", "onnx", NULL};
static const char *const LOG_LEVELS[] = {"debug", "info", "warn", "error", NULL};
static const char *const S3_ADDRESSINGS[] = {"auto", "path", "host", NULL};
static const char *const LOG_FORMATS[] = {"text", "json", "off", NULL};

#define TO(field) .offset = offsetof(struct config, field), .size = sizeof(((struct config *)0)->field)

const struct setting SETTINGS[] = {
    /* ---- general ---- */
    {.name = "config", .flag = "--config", .meta = "FILE", .variables = {"DIPPER_CONFIG"}, TO(config_file),
     .section = SECTION_GENERAL, .type = SETTING_TEXT, .max = PATH_BYTES, .not_in_file = true,
     .initial = "", .initial_help = "./dipper.toml if it is there",
     .help = "Read settings from this file."},
    {.name = "log.level", .flag = "--log-level", .meta = "LEVEL", .variables = {"DIPPER_LOG_LEVEL"}, TO(log_level),
     .section = SECTION_GENERAL, .type = SETTING_CHOICE, .choices = LOG_LEVELS, .initial = "info",
     .help = "Write messages of this level and above: debug, info, warn or error."},
    {.name = "log.format", .flag = "--log-format", .meta = "FORMAT", .variables = {"DIPPER_LOG_FORMAT"},
     TO(log_format), .section = SECTION_GENERAL, .type = SETTING_CHOICE, .choices = LOG_FORMATS, .initial = "text",
     .help = "Write messages and the access log as text, or as json (one object a line); off: no access log."},

    /* ---- store ---- */
    {.name = "root", .flag = "--root", .meta = "ROOT", .variables = {"DIPPER_ROOT"}, TO(root),
     .section = SECTION_STORE, .type = SETTING_TEXT, .secret_in_url = true, .max = PATH_BYTES,
     .initial = "", .initial_help = "none, it must be given",
     .help = "Where the namespaces live: a folder, or s3://bucket/prefix, or another URL (file:///path)."},
    {.name = "store.merge_gap", .flag = "--merge-gap", .meta = "SIZE", .variables = {"DIPPER_MERGE_GAP"},
     .section = SECTION_STORE, .type = SETTING_BYTES, .min = KIB, .max = GIB, .or_none = true, TO(merge_gap),
     .initial = "64KiB",
     .help = "Ranges of one remote object at most this far apart are read with one request; none: each has its own."},
    {.name = "store.split_at", .flag = "--split-at", .meta = "SIZE", .variables = {"DIPPER_SPLIT_AT"},
     .section = SECTION_STORE, .type = SETTING_BYTES, .min = 64 * KIB, .max = GIB, .or_none = true, TO(split_at),
     .initial = "8MiB",
     .help = "Longer ranges of a remote object are read with several requests at once; none: with one each."},
    {.name = "store.cache_bytes", .flag = "--cache-bytes", .meta = "SIZE", .variables = {"DIPPER_CACHE_BYTES"},
     .section = SECTION_STORE, .type = SETTING_BYTES, .max = UINT64_C(1) << 40, .or_none = true,
     TO(cache_bytes), .initial = "256MiB",
     .help = "Memory for what was read from remote objects, so that it is not fetched again; 0 or none: each search reads "
             "afresh. Local files have the system's page cache instead."},

    /* ---- S3: the environment variables are those of AWS's own tools ---- */
    {.name = "s3.endpoint_url", .flag = "--s3-endpoint-url", .meta = "URL",
     .variables = {"S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, TO(s3_endpoint_url),
     .section = SECTION_S3, .type = SETTING_TEXT, .secret_in_url = true, .max = TEXT_BYTES,
     .initial = "", .initial_help = "the profile's, else Amazon's for the region",
     .help = "Where a store lives that speaks S3 and is not Amazon's: http://host:port or https://host."},
    {.name = "s3.region", .flag = "--s3-region", .meta = "NAME", .variables = {"AWS_REGION", "AWS_DEFAULT_REGION"},
     TO(s3_region), .section = SECTION_S3, .type = SETTING_TEXT, .max = NAME_BYTES,
     .initial = "", .initial_help = "the profile's, else us-east-1", .help = "The region that the bucket is in."},
    {.name = "s3.profile", .flag = "--s3-profile", .meta = "NAME", .variables = {"AWS_PROFILE"}, TO(s3_profile),
     .section = SECTION_S3, .type = SETTING_TEXT, .max = NAME_BYTES,
     .initial = "", .initial_help = "default", .help = "The profile of AWS's files to take keys and region from."},
    {.name = "s3.addressing", .flag = "--s3-addressing", .meta = "HOW", .variables = {"DIPPER_S3_ADDRESSING"},
     TO(s3_addressing), .section = SECTION_S3, .type = SETTING_CHOICE, .choices = S3_ADDRESSINGS, .initial = "auto",
     .help = "How requests name the bucket: in the path (http://host/bucket/key), in the host "
             "(http://bucket.host/key), or auto: in the host at Amazon, in the path elsewhere."},
    {.name = "s3.unsigned", .flag = "--s3-unsigned", .variables = {"AWS_NO_SIGN_REQUEST"}, TO(s3_unsigned),
     .section = SECTION_S3, .type = SETTING_BOOLEAN, .initial = "false",
     .help = "Send requests without keys: for public buckets."},
    {.name = "s3.access_key_id", .variables = {"AWS_ACCESS_KEY_ID"}, TO(s3_access_key_id),
     .section = SECTION_S3, .type = SETTING_TEXT, .max = KEY_BYTES, .initial = "",
     .help = "The id of the key that requests are signed with."},
    {.name = "s3.secret_access_key", .variables = {"AWS_SECRET_ACCESS_KEY"}, TO(s3_secret_access_key),
     .section = SECTION_S3, .type = SETTING_TEXT, .max = KEY_BYTES, .initial = "", .secret = true,
     .help = "The key itself. It is never logged nor shown."},
    {.name = "s3.session_token", .variables = {"AWS_SESSION_TOKEN"}, TO(s3_session_token),
     .section = SECTION_S3, .type = SETTING_TEXT, .max = KEY_BYTES, .initial = "", .secret = true,
     .help = "What a temporary key comes with. It is never logged nor shown."},
    {.name = "s3.credentials_file", .variables = {"AWS_SHARED_CREDENTIALS_FILE"}, TO(s3_credentials_file),
     .section = SECTION_S3, .type = SETTING_TEXT, .max = PATH_BYTES, .initial = "",
     .initial_help = "~/.aws/credentials", .help = "The file with the profiles' keys."},
    {.name = "s3.config_file", .variables = {"AWS_CONFIG_FILE"}, TO(s3_config_file),
     .section = SECTION_S3, .type = SETTING_TEXT, .max = PATH_BYTES, .initial = "",
     .initial_help = "~/.aws/config", .help = "The file with the profiles' other settings."},
    {.name = "s3.home", .variables = {"HOME"}, TO(s3_home), .not_in_file = true,
     .section = SECTION_S3, .type = SETTING_TEXT, .max = PATH_BYTES, .initial = "", .initial_help = "none",
     .help = "What ~ is in the paths of these two files."},
    {.name = "s3.role_arn", .variables = {"AWS_ROLE_ARN"}, TO(s3_role_arn),
     .section = SECTION_S3, .type = SETTING_TEXT, .max = TEXT_BYTES, .initial = "",
     .help = "The role that a web identity takes on, as in EKS."},
    {.name = "s3.web_identity_token_file", .variables = {"AWS_WEB_IDENTITY_TOKEN_FILE"},
     TO(s3_web_identity_token_file), .section = SECTION_S3, .type = SETTING_TEXT, .max = PATH_BYTES, .initial = "",
     .help = "The file with the web identity's token."},
    {.name = "s3.role_session_name", .variables = {"AWS_ROLE_SESSION_NAME"}, TO(s3_role_session_name),
     .section = SECTION_S3, .type = SETTING_TEXT, .max = NAME_BYTES, .initial = "", .initial_help = "dipper",
     .help = "What the session is called in the account's logs."},
    {.name = "s3.sts_endpoint_url", .variables = {"AWS_ENDPOINT_URL_STS"}, TO(s3_sts_endpoint_url),
     .section = SECTION_S3, .type = SETTING_TEXT, .secret_in_url = true, .max = TEXT_BYTES, .initial = "",
     .initial_help = "Amazon's for the region", .help = "Where web identities are exchanged for keys."},
    {.name = "s3.container_relative_uri", .variables = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
     TO(s3_container_relative_uri), .section = SECTION_S3, .type = SETTING_TEXT, .max = TEXT_BYTES, .initial = "",
     .not_in_file = true, .help = "Where a container in ECS gets its keys; set there."},
    {.name = "s3.container_full_uri", .variables = {"AWS_CONTAINER_CREDENTIALS_FULL_URI"},
     TO(s3_container_full_uri), .section = SECTION_S3, .type = SETTING_TEXT, .secret_in_url = true, .max = TEXT_BYTES, .initial = "",
     .not_in_file = true, .help = "Where a container in EKS gets its keys; set there."},
    {.name = "s3.container_token", .variables = {"AWS_CONTAINER_AUTHORIZATION_TOKEN"}, TO(s3_container_token),
     .section = SECTION_S3, .type = SETTING_TEXT, .max = KEY_BYTES, .initial = "", .secret = true,
     .not_in_file = true, .help = "What a container shows there. It is never logged nor shown."},
    {.name = "s3.container_token_file", .variables = {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"},
     TO(s3_container_token_file), .section = SECTION_S3, .type = SETTING_TEXT, .max = PATH_BYTES, .initial = "",
     .not_in_file = true, .help = "The file with that token."},
    {.name = "s3.metadata_disabled", .variables = {"AWS_EC2_METADATA_DISABLED"}, TO(s3_metadata_disabled),
     .section = SECTION_S3, .type = SETTING_BOOLEAN, .initial = "false",
     .help = "Do not ask the machine's metadata service for keys, where there are no others."},
    {.name = "s3.metadata_endpoint", .variables = {"AWS_EC2_METADATA_SERVICE_ENDPOINT"}, TO(s3_metadata_endpoint),
     .section = SECTION_S3, .type = SETTING_TEXT, .secret_in_url = true, .max = TEXT_BYTES, .initial = "",
     .initial_help = "http://169.254.169.254", .help = "Where that service is."},

    /* ---- model ---- */
    {.name = "model.path", .flag = "--model", .meta = "DIR", .variables = {"DIPPER_MODEL_PATH", "MODEL_PATH"},
     .section = SECTION_MODEL, .type = SETTING_TEXT, .max = PATH_BYTES, TO(model_path),
     .initial = "", .initial_help = "the model inside the program",
     .help = "A model directory in the sentence-transformers layout, or a packed model's file, instead of the model "
             "inside the program."},
    {.name = "model.name", .flag = "--model-name", .meta = "NAME",
     .variables = {"DIPPER_MODEL_NAME", "MODEL_NAME"}, TO(model_name),
     .section = SECTION_MODEL, .type = SETTING_TEXT, .max = NAME_BYTES, .initial = "",
     .help = "One more name that the model answers to in requests."},
    {.name = "model.aliases", .flag = "--model-alias", .meta = "NAMES", .variables = {"DIPPER_MODEL_ALIASES"},
     TO(model_aliases), .section = SECTION_MODEL, .type = SETTING_TEXT, .max = TEXT_BYTES, .initial = "",
     .help = "More names that the model answers to in requests, with commas between: those that clients already use, "
             "like text-embedding-3-small."},
    {.name = "model.max_tokens", .flag = "--max-tokens", .meta = "N",
     .variables = {"DIPPER_MAX_TOKENS", "MAX_TOKENS"}, TO(max_tokens),
     .section = SECTION_MODEL, .type = SETTING_INTEGER, .max = 65536, .initial = "0",
     .initial_help = "0, the model's own limit",
     .help = "Tokens of one text, special ones included: longer ones are cut, or indexed as windows."},
    {.name = "model.engine", .flag = "--engine", .meta = "NAME", .variables = {"DIPPER_ENGINE"}, TO(engine),
     .section = SECTION_MODEL, .type = SETTING_CHOICE, .choices = ENGINES, .initial = "native",
     .help = "What computes the model: native, Dipper's own encoder in int8, or onnx, the directory's ONNX file with "
             "ONNX Runtime. Their vectors are never mixed in a namespace."},
    {.name = "model.onnx_file", .flag = "--onnx-file", .meta = "NAME", .variables = {"DIPPER_ONNX_FILE"},
     .section = SECTION_MODEL, .type = SETTING_TEXT, .max = NAME_BYTES, TO(onnx_file),
     .initial = "", .initial_help = "model.onnx",
     .help = "Which ONNX file of the model directory, or of onnx/ in it, the onnx engine runs; int8: the one that is "
             "quantised for this processor, or else model_int8.onnx, model_quantized.onnx, model_uint8.onnx."},
    {.name = "model.onnx_batch", .flag = "--onnx-batch", .meta = "N", .variables = {"DIPPER_ONNX_BATCH"},
     .section = SECTION_MODEL, .type = SETTING_INTEGER, .min = 1, .max = 64, TO(onnx_batch), .initial = "1",
     .help = "Texts that the onnx engine runs at once, padded to the longest. With more than one, a text's vector may "
             "depend on its neighbours."},
    {.name = "model.onnx_threads", .flag = "--onnx-threads", .meta = "N", .variables = {"DIPPER_ONNX_THREADS"},
     .section = SECTION_MODEL, .type = SETTING_INTEGER, .max = 1024, TO(onnx_threads),
     .initial = "0", .initial_help = "0, half of compute.threads, rounded up",
     .help = "Threads, of compute.threads, that share one text in the onnx engine: more answer one text sooner, fewer "
             "embed many texts faster."},
    {.name = "model.onnxruntime_library", .flag = "--onnxruntime-library", .meta = "FILE",
     .variables = {"DIPPER_ONNXRUNTIME_LIBRARY"}, TO(onnxruntime_library),
     .section = SECTION_MODEL, .type = SETTING_TEXT, .max = PATH_BYTES,
     .initial = "", .initial_help = "beside the program, then the system's",
     .help = "ONNX Runtime's library (libonnxruntime.so), for the onnx engine."},
    {.name = "compute.threads", .flag = "--threads", .meta = "N", .variables = {"DIPPER_THREADS", "WORKERS"},
     .section = SECTION_MODEL, .type = SETTING_INTEGER, .max = 1024, TO(threads),
     .initial = "0", .initial_help = "0, one for each processor that may be used",
     .help = "Threads that compute."},

    /* ---- embedding cache ---- */
    {.name = "embed_cache.vectors", .flag = "--l1-cache-size", .meta = "N",
     .variables = {"DIPPER_L1_CACHE_SIZE", "L1_CACHE_SIZE"}, TO(l1_cache_size),
     .section = SECTION_EMBED_CACHE, .type = SETTING_INTEGER, .max = 100000000, .initial = "10000",
     .help = "Vectors kept in memory, so that a text that comes again is not embedded again; 0: none."},
    {.name = "embed_cache.bytes", .flag = "--l1-cache-bytes", .meta = "SIZE",
     .variables = {"DIPPER_L1_CACHE_BYTES"}, TO(l1_cache_bytes),
     .section = SECTION_EMBED_CACHE, .type = SETTING_BYTES, .max = UINT64_C(1) << 40, .initial = "128MiB",
     .help = "Memory that these may take, with the JSON or base 64 of those that are asked for again."},

    /* ---- server; `listen` comes first, so that host and port of the same source win over it ---- */
    {.name = "server.listen", .flag = "--listen", .meta = "ADDRESS:PORT", .variables = {"DIPPER_LISTEN"}, TO(host),
     .section = SECTION_SERVER, .type = SETTING_LISTEN, .max = NAME_BYTES,
     .port_offset = offsetof(struct config, port), .initial_help = "127.0.0.1:8000",
     .help = "Where to listen: server.host and server.port in one. Where one of these is given in the same place "
             "(flags, environment, file), it wins."},
    {.name = "server.host", .flag = "--host", .meta = "ADDRESS", .variables = {"DIPPER_HOST", "HOST"}, TO(host),
     .section = SECTION_SERVER, .type = SETTING_TEXT, .min = 1, .max = NAME_BYTES, .initial = "127.0.0.1",
     .help = "The address to listen on."},
    {.name = "server.port", .flag = "--port", .meta = "N", .variables = {"DIPPER_PORT", "PORT"}, TO(port),
     .section = SECTION_SERVER, .type = SETTING_INTEGER, .max = UINT16_MAX, .initial = "8000",
     .help = "The port to listen on; 0 takes any free one."},
    {.name = "server.insecure", .flag = "--insecure", .variables = {"DIPPER_INSECURE"}, TO(insecure),
     .section = SECTION_SERVER, .type = SETTING_BOOLEAN, .initial = "false",
     .help = "Listen beyond this host although nobody has to authenticate."},
    {.name = "server.request_threads", .flag = "--request-threads", .meta = "N",
     .variables = {"DIPPER_REQUEST_THREADS"}, TO(request_threads),
     .section = SECTION_SERVER, .type = SETTING_INTEGER, .min = 1, .max = 1024, .initial = "64",
     .help = "Requests that are worked on at the same time."},
    {.name = "server.queue_max", .flag = "--queue-max", .meta = "N", .variables = {"DIPPER_QUEUE_MAX"},
     TO(queue_max), .section = SECTION_SERVER, .type = SETTING_INTEGER, .min = 1, .max = 65536, .initial = "256",
     .help = "Requests that may wait for their turn; more are refused at once."},
    {.name = "server.max_connections", .flag = "--max-connections", .meta = "N",
     .variables = {"DIPPER_MAX_CONNECTIONS"}, TO(max_connections),
     .section = SECTION_SERVER, .type = SETTING_INTEGER, .min = 1, .max = 65536, .initial = "1024",
     .help = "Open connections."},
    {.name = "server.drain_timeout", .flag = "--drain-timeout", .meta = "TIME",
     .variables = {"DIPPER_DRAIN_TIMEOUT"},
     .section = SECTION_SERVER, .type = SETTING_DURATION, .min = 1, .max = HOUR, .initial = "30s",
     TO(drain_timeout_ms), .help = "When told to stop, wait this long for open requests to end."},
    {.name = "server.cors_origin", .flag = "--cors-origin", .meta = "ORIGIN", .variables = {"DIPPER_CORS_ORIGIN"},
     .section = SECTION_SERVER, .type = SETTING_TEXT, .max = TEXT_BYTES, TO(cors_origin),
     .initial = "", .initial_help = "none, pages of other sites may not ask",
     .help = "Pages of this origin (or of all, with *) may ask from browsers."},

    /* ---- limits of requests ---- */
    {.name = "limits.max_batch_size", .flag = "--max-batch-size", .meta = "N",
     .variables = {"DIPPER_MAX_BATCH_SIZE", "MAX_BATCH_SIZE"}, TO(max_batch_size),
     .section = SECTION_LIMITS, .type = SETTING_INTEGER, .min = 1, .max = 2048, .initial = "2048",
     .help = "Texts in one request."},
    {.name = "limits.max_body_bytes", .flag = "--max-body-bytes", .meta = "SIZE",
     .variables = {"DIPPER_MAX_BODY_BYTES"}, TO(max_body_bytes),
     .section = SECTION_LIMITS, .type = SETTING_BYTES, .min = KIB, .max = GIB, .initial = "32MiB",
     .help = "Size of a request's body, decompressed too."},
    {.name = "limits.head_timeout", .flag = "--head-timeout", .meta = "TIME", .variables = {"DIPPER_HEAD_TIMEOUT"},
     .section = SECTION_LIMITS, .type = SETTING_DURATION, .min = 100, .max = HOUR, .initial = "10s",
     TO(head_timeout_ms), .help = "Close a connection whose request head has not arrived whole after this time."},
    {.name = "limits.body_timeout", .flag = "--body-timeout", .meta = "TIME", .variables = {"DIPPER_BODY_TIMEOUT"},
     .section = SECTION_LIMITS, .type = SETTING_DURATION, .min = 100, .max = HOUR, .initial = "1m",
     TO(body_timeout_ms), .help = "Close a connection whose request body has not arrived whole after this time."},
    {.name = "limits.request_timeout", .flag = "--request-timeout", .meta = "TIME",
     .variables = {"DIPPER_REQUEST_TIMEOUT"}, TO(request_timeout_ms),
     .section = SECTION_LIMITS, .type = SETTING_DURATION, .min = 100, .max = HOUR, .initial = "1m",
     .help = "Give up computing an answer after this time."},
    {.name = "limits.send_timeout", .flag = "--send-timeout", .meta = "TIME", .variables = {"DIPPER_SEND_TIMEOUT"},
     .section = SECTION_LIMITS, .type = SETTING_DURATION, .min = 100, .max = HOUR, .initial = "1m",
     TO(send_timeout_ms), .help = "Close a connection that has not taken an answer after this time."},
    {.name = "limits.idle_timeout", .flag = "--idle-timeout", .meta = "TIME", .variables = {"DIPPER_IDLE_TIMEOUT"},
     .section = SECTION_LIMITS, .type = SETTING_DURATION, .min = SECOND, .max = HOUR, .initial = "75s",
     TO(idle_timeout_ms), .help = "Close a connection that has had no request for this time."},
};
const size_t SETTING_COUNT = sizeof SETTINGS / sizeof *SETTINGS;
/* clang-format on */

static const struct {
    const char *title;
    unsigned groups;
} SECTIONS[SECTION_COUNT] = {
    [SECTION_GENERAL] = {"General", CONFIG_GROUP_ALL},
    [SECTION_STORE] = {"Store", CONFIG_GROUP_STORE},
    [SECTION_S3] = {"S3", CONFIG_GROUP_STORE},
    [SECTION_MODEL] = {"Model", CONFIG_GROUP_MODEL},
    [SECTION_EMBED_CACHE] = {"Embedding cache", CONFIG_GROUP_SERVER},
    [SECTION_SERVER] = {"Server", CONFIG_GROUP_SERVER},
    [SECTION_LIMITS] = {"Limits of requests", CONFIG_GROUP_SERVER},
};

unsigned setting_groups(enum setting_section section)
{
    return SECTIONS[section].groups;
}

const char *setting_section_title(enum setting_section section)
{
    return SECTIONS[section].title;
}
