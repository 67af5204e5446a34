/* fuzz_account_text.c: any bytes as texts that the accounts get from clients, settings and commands: keys,
 * hashes, headers, dates, rights and prefixes of namespaces. An accepted text must have the properties that
 * later code relies on. */
#include <stdlib.h>

#include "account/key.h"
#include "account/records.h"
#include "server/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void show(struct span text)
{
    struct head head = {.count = 3};
    head.fields[0] = (struct head_field){span_str("Authorization"), text};
    head.fields[1] = (struct head_field){span_str("x-api-key"), text};
    head.fields[2] = (struct head_field){span_str("api-key"), text};
    struct span key = auth_key_of(&head);
    must(!key.data || key.len <= text.len);
    if (key_is_well_formed(span_str("fe_"), key))
        must(key.len == 3 + KEY_DIGITS && key_prefix(span_str("fe_"), key).len == KEY_PREFIX_LEN);
}

static void read_words(struct span text)
{
    int64_t number;
    unsigned rights;
    enum account_tier tier;
    struct dp_error error;
    char printed[16];
    if (month_parse(text, &number)) {
        month_print(number, printed);
        must(span_equal_str(text, printed) && month_of(month_begins_ms(number)) == number);
    }
    if (date_parse(text, &number))
        must(number >= 0 && month_of(number) >= 1970 * 12);
    if (rights_parse(text, &rights))
        must(rights > 0 && rights <= RIGHT_ALL);
    if (tier_parse(text, &tier))
        must(tier < TIER_COUNT);
    if (namespaces_check(text, &error) == DP_OK &&
        text.len) /* prefixes allow the name that equals their text, but no empty name */
        must(namespaces_allow(text, text) && !namespaces_allow(text, span_str("")));
    namespaces_allow(text, span_str("team-notes"));
    if (key_check_scheme(text, &error) == DP_OK)
        must(text.len <= KEY_SCHEME_MAX);
}

/* A stored hash may ask for any cost; this target runs only cheap ones. */
static void verify(struct span text)
{
    bool matches;
    struct dp_error error;
    if (text.len == KEY_HASH_MAX && memcmp(text.data + 4, "04", 2) != 0)
        return;
    if (key_verify(span_str("fe_"), text, &matches, &error) == DP_OK && matches)
        must(text.len == KEY_HASH_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    show(text);
    read_words(text);
    verify(text);
    return 0;
}
