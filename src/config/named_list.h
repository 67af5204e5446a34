/* config/named_list.h: reads lists of values, some of which have names: "DIR", "small=DIR,large=DIR".
 *
 * A name begins with a letter or a digit, so "./a=b" is a value without a name. A comma begins the next value only if
 * a name and '=' follow, so a path may have commas.
 */
#ifndef CONFIG_NAMED_LIST_H
#define CONFIG_NAMED_LIST_H

#include "base/span.h"

struct named_value {
    struct span name; /* empty: the value has none */
    struct span value;
};

/* Takes the next value off *rest; false when nothing is left. */
bool named_list_next(struct span *rest, struct named_value *out);
/* Returns whether the first value has a name. */
bool named_list_has_name(struct span list);

#endif
