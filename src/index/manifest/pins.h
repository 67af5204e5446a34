/* index/manifest/pins.h: the objects that pins keep: .pin objects.
 *
 * A branch lists objects of its source, and of the namespaces that own objects of its source. Each of these owners
 * has a pin for the branch in its manifest. The pin names a .pin object, which names the owner's objects that the
 * branch listed when it was made. A .pin object never changes; the pin keeps all of its objects until the branch
 * needs none of them.
 *
 * The object, little endian:
 *    0  8   "DPRPIN1\n"
 *    8  u32 format version, 1
 *   12  u32 count of objects
 *   16  26  ULID of the pin
 *   42  26  ULID of the incarnation that owns the objects
 *   68      count × (26 ULID of the segment, 26 ULID of the object), ascending, none twice
 *  end  u64 XXH3-64 of all bytes before
 */
#ifndef INDEX_PINS_H
#define INDEX_PINS_H

#include "index/manifest/manifest.h"

#define PIN_MAGIC "DPRPIN1\n"

enum {
    PIN_VERSION = 1,
    PIN_FIXED_LEN = 76,                          /* bytes beside the objects */
    PIN_OBJECT_LEN = 2 * ULID_LEN,               /* bytes of one object */
    PIN_OBJECTS_MAX = 4 * MANIFEST_SEGMENTS_MAX, /* segments and .del objects */
    PIN_LEN_MAX = PIN_FIXED_LEN + PIN_OBJECTS_MAX * PIN_OBJECT_LEN
};

/* A pinned object: the .ivf and the .dpr object of a segment, if `born` is the segment's ULID, or a .del object. */
struct pinned_object {
    struct ulid segment, born;
};

/* Sorts objects, and drops those that are there twice. Returns how many are left. */
size_t pin_sort(struct pinned_object *objects, size_t count);
/* Appends the .pin object of a pin, which has an id and an incarnation, for sorted objects. */
void pin_write(const struct manifest_pin *pin, const struct pinned_object *objects, size_t count,
               struct buffer *out);
/* Gives the objects of a pin from its .pin object, in the arena. Fails with DP_CORRUPT, DP_UNSUPPORTED or DP_NOMEM. */
enum dp_status pin_parse(struct span bytes, const struct manifest_pin *pin, struct arena *arena,
                         struct pinned_object **out, size_t *count, struct dp_error *error);

/* The objects of one pin. */
struct pinned_list {
    struct ulid pin, incarnation;
    struct pinned_object *objects; /* [count], ascending */
    size_t count;
};

/* The objects of all pins of a manifest. */
struct pin_set {
    struct pinned_list *lists; /* [count], in the manifest's order */
    size_t count;
};

/* Reads the .pin objects of the manifest of the namespace `name`, in one round, into the call's arena. Reads
 * nothing if *set holds the same pins already. Fails with DP_CORRUPT when a .pin object is damaged: then nobody
 * knows which objects the pin keeps. Fails with DP_STALE when one is missing: a collector removes the .pin objects
 * that a newer manifest does not need. */
enum dp_status pin_set_read(struct call *call, struct store *store, struct span name, const struct manifest *m,
                            struct pin_set *set);
/* Reads the pins of *m as pin_set_read() does. When a .pin object is missing, replaces *m by the newest manifest,
 * which may be a tombstone, and reads its pins. Fails with DP_CORRUPT, too, when one of these is missing. */
enum dp_status pin_set_read_newest(struct call *call, struct store *store, struct span name, struct manifest *m,
                                   struct pin_set *set);
/* Returns whether a pin keeps the object, which is one of the manifest's namespace. */
bool pin_set_has(const struct pin_set *set, const struct parsed_name *object);

#endif
