/* verify_segment.c: verifies the objects of one segment against each other.
 *
 *   1. a scan of all rows verifies the hot part, the .del object, documents and vectors (row_scan.c);
 *   2. each id of the id blocks must belong to the row with that id, each row have one id, and the filter know it;
 *   3. each optional section outside the hot part must have its checksum, the text index the tokens of the
 *      documents (verify_words.c), and the columns their values (verify_columns.c);
 *   4. the head of the .ivf must be the one in the hot part, if that has it;
 *   5. each list of the .ivf must have its checksum, and each row as many entries as it has vectors.
 */
#include "index/fold/verify_segment.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/checksum.h"
#include "faiss/ivf.h"
#include "index/fold/verify_columns.h"
#include "index/fold/verify_words.h"
#include "index/id.h"
#include "index/query/snapshot.h"
#include "index/segment/format.h"
#include "index/segment/ivf_head.h"
#include "index/segment/key_filter.h"

/* The verification of one segment. */
struct segment_check {
    struct verification *v;
    struct row_scan scan; /* of this segment alone */
    uint64_t *keys;       /* [rows]: hash of each row's id key */
    uint32_t *entries;    /* [rows]: entries of the row in lists so far */
    struct object_key ivf_key, dpr_key;
    struct round round;
    struct words_check words;
    struct columns_check columns;
};

static struct scanned_segment *scanned(const struct segment_check *c)
{
    return c->scan.segments;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static enum dp_status check_scanned_row(struct call *call, void *context, const struct scanned_row *row)
{
    struct segment_check *c = context;
    struct verification *v = c->v;
    if (!id_key_valid(row->key))
        return call_fail(call, DP_CORRUPT, "row %" PRIu32 " has a malformed id", row->row);
    c->keys[row->row] = checksum64(row->key);
    c->entries[row->row] = row->windows;
    enum dp_status status = words_check_row(call, &c->words, row->row, row->document);
    if (status == DP_OK)
        status = columns_check_row(call, &c->columns, row->row, row->document);
    if (status != DP_OK || row->deleted)
        return status;
    v->result->rows++;
    uint64_t *live = array_reserve(v->live, v->live_count, &v->live_room, sizeof *live, 1024);
    if (!live)
        return call_nomem(call, "a verification");
    v->live = live;
    v->live[v->live_count++] = c->keys[row->row];
    return DP_OK;
}

/* ---- ids ------------------------------------------------------------------------------------------------- */

/* The walk over the id blocks of a segment. */
struct ids_check {
    struct row_set seen; /* rows that have an id */
    struct id_key last;  /* the id key before; len 0: none */
};

static enum dp_status check_id(struct call *call, const struct segment_check *c, struct ids_check *ids,
                               struct span key, uint32_t row)
{
    if (key.len > sizeof ids->last.bytes || span_compare(id_key_span(&ids->last), key) >= 0)
        return call_fail(call, DP_CORRUPT, "the id of row %" PRIu32 " is not in order", row);
    ids->last.len = (uint8_t)key.len;
    memcpy(ids->last.bytes, key.data, key.len);
    if (checksum64(key) != c->keys[row])
        return call_fail(call, DP_CORRUPT, "row %" PRIu32 " has one id in its document and another among the ids",
                         row);
    if (!key_filter_maybe(scanned(c)->hot.filter, key))
        return call_fail(call, DP_CORRUPT, "the filter of ids does not know the id of row %" PRIu32, row);
    if (!row_set_add(&ids->seen, row))
        return call_fail(call, DP_CORRUPT, "row %" PRIu32 " has two ids", row);
    return DP_OK;
}

static enum dp_status check_id_block(struct call *call, const struct segment_check *c, struct ids_check *ids,
                                     size_t block, const struct store_read_req *read)
{
    const struct segment_hot *hot = &scanned(c)->hot;
    struct span key;
    uint32_t row;
    enum dp_status status = snapshot_check_read(read, hot->size, &call->error);
    if (status == DP_OK)
        status = segment_check_ids(hot, block, read->bytes.span, &call->error);
    if (status)
        return status;
    struct id_walk walk = id_walk_over(hot, read->bytes.span);
    uint32_t count = 0;
    for (; status == DP_OK && id_walk_next(&walk, &key, &row); count++) {
        if (count == 0 && !span_equal(key, hot->ids[block].first))
            return call_fail(call, DP_CORRUPT, "id block %zu does not begin with its first id", block);
        status = check_id(call, c, ids, key, row);
    }
    if (status == DP_OK && (walk.at.failed || count != hot->ids[block].entries))
        return call_fail(call, DP_CORRUPT, "id block %zu is malformed", block);
    return status;
}

/* Reads and checks id blocks from *at on, in one round. */
static enum dp_status check_some_ids(struct call *call, struct segment_check *c, struct ids_check *ids, size_t *at)
{
    const struct scanned_segment *s = scanned(c);
    size_t begin = *at;
    while (*at < s->hot.id_count && round_takes(&c->round, s->hot.ids[*at].stored, 1)) {
        const struct store_read_req req = {
            .key = object_key_span(&s->dpr_key), .offset = s->hot.ids[*at].offset, .len = s->hot.ids[*at].stored};
        round_ask(&c->round, &req);
        ++*at;
    }
    enum dp_status status = round_read(&c->round);
    for (size_t i = begin; i < *at && status == DP_OK; i++)
        status = check_id_block(call, c, ids, i, round_answer(&c->round, i - begin));
    round_release(&c->round);
    return status;
}

static enum dp_status check_ids(struct call *call, struct segment_check *c)
{
    struct ids_check ids = {0};
    const struct segment_hot *hot = &scanned(c)->hot;
    enum dp_status status = row_set_init(&ids.seen, hot->rows, &call->error);
    size_t at = 0;
    while (at < hot->id_count && status == DP_OK)
        status = check_some_ids(call, c, &ids, &at);
    if (status == DP_OK && ids.seen.count != hot->rows)
        status = call_fail(call, DP_CORRUPT, "%" PRIu64 " rows have no id", hot->rows - ids.seen.count);
    row_set_deinit(&ids.seen);
    return status;
}

/* ---- lists ----------------------------------------------------------------------------------------------- */

static enum dp_status check_list(struct call *call, struct segment_check *c, const struct faiss_list_range *range,
                                 uint32_t list, const struct store_read_req *read)
{
    const struct segment_hot *hot = &scanned(c)->hot;
    enum dp_status status = snapshot_check_read(read, hot->ivf_size, &call->error);
    if (status)
        return status;
    if (checksum64(read->bytes.span) != hot->list_checksums[list])
        return call_fail(call, DP_CORRUPT, "the checksum of list %" PRIu32 " does not fit", list);
    struct span ids;
    if (!span_sub(read->bytes.span, range->count * hot->dim, range->count * 8, &ids))
        return call_fail(call, DP_CORRUPT, "list %" PRIu32 " has the wrong length", list);
    struct cursor at = cursor_over(ids);
    for (uint64_t i = 0; i < range->count; i++) {
        uint64_t row = cursor_u64(&at);
        if (row >= hot->rows || c->entries[row] == 0)
            return call_fail(call, DP_CORRUPT, "list %" PRIu32 " has an entry too many for row %" PRIu64, list,
                             row);
        c->entries[row]--;
    }
    return DP_OK;
}

/* Reads and checks lists from *at on, in one round. */
static enum dp_status check_some_lists(struct call *call, struct segment_check *c, const struct faiss_ivf *ivf,
                                       uint32_t *at)
{
    const struct segment_hot *hot = &scanned(c)->hot;
    uint32_t begin = *at;
    for (; *at < hot->nlist; ++*at) {
        struct faiss_list_range range = faiss_ivf_list_range(ivf, *at);
        if (!round_takes(&c->round, range.len, 1))
            break;
        const struct store_read_req req = {
            .key = object_key_span(&c->ivf_key), .offset = range.offset, .len = (int64_t)range.len};
        round_ask(&c->round, &req);
    }
    enum dp_status status = round_read(&c->round);
    for (uint32_t i = begin; i < *at && status == DP_OK; i++) {
        struct faiss_list_range range = faiss_ivf_list_range(ivf, i);
        status = check_list(call, c, &range, i, round_answer(&c->round, i - begin));
    }
    round_release(&c->round);
    return status;
}

static enum dp_status open_ivf(struct call *call, struct segment_check *c, struct faiss_ivf **ivf)
{
    const struct segment_hot *hot = &scanned(c)->hot;
    struct store_read_req head = {.key = object_key_span(&c->ivf_key), .len = (int64_t)hot->ivf_head};
    store_read(call, c->v->store, &head, 1);
    dp_error_clear(&call->error);
    enum dp_status status = snapshot_check_read(&head, hot->ivf_size, &call->error);
    if (status == DP_OK && checksum64(head.bytes.span) != hot->ivf_head_checksum)
        status = call_fail(call, DP_CORRUPT, "the checksum of its head does not fit");
    if (status == DP_OK)
        status = faiss_ivf_parse_head(head.bytes.span, hot->ivf_size, ivf, &call->error);
    store_read_release(&head, 1);
    if (status)
        return status;
    const struct faiss_ivf_info info = faiss_ivf_info(*ivf);
    if (info.nlist != hot->nlist || info.listed != hot->vectors || info.codec->code_size != hot->dim)
        return call_fail(call, DP_CORRUPT, "it is not the file that the segment describes");
    return DP_OK;
}

static enum dp_status check_lists_of_rows(struct call *call, struct segment_check *c)
{
    const struct segment_hot *hot = &scanned(c)->hot;
    struct faiss_ivf *ivf = NULL;
    uint32_t at = 0;
    enum dp_status status = open_ivf(call, c, &ivf);
    while (status == DP_OK && at < hot->nlist)
        status = check_some_lists(call, c, ivf, &at);
    for (uint64_t row = 0; row < hot->rows && status == DP_OK; row++) {
        if (c->entries[row])
            status = call_fail(call, DP_CORRUPT, "row %" PRIu64 " has %" PRIu32 " vectors that no list holds", row,
                               c->entries[row]);
    }
    faiss_ivf_free(ivf);
    return status;
}

/* ---- the head -------------------------------------------------------------------------------------------- */

/* Verifies the bytes before the first section, which no query reads. */
static enum dp_status check_head(struct call *call, const struct segment_check *c)
{
    struct store_read_req req = {.key = object_key_span(&c->dpr_key), .len = SEGMENT_HEAD_LEN};
    enum dp_status status = store_read(call, c->v->store, &req, 1);
    if (status == DP_OK) {
        struct cursor head = cursor_over(req.bytes.span);
        if (!span_equal_str(cursor_bytes(&head, FORMAT_MAGIC_LEN), SEGMENT_MAGIC) ||
            cursor_u32(&head) != scanned(c)->hot.format || cursor_u32(&head) != 0)
            status = call_fail(call, DP_CORRUPT, "its head does not say that it is a segment");
    }
    store_read_release(&req, 1);
    return status;
}

/* ---- optional sections ------------------------------------------------------------------------------------ */

/* Verifies the bytes of a cold optional section, piece by piece. */
static enum dp_status check_section(struct call *call, const struct segment_check *c, enum section_kind kind,
                                    const struct segment_section *section)
{
    enum { PIECE = 8 << 20 };
    struct checksum64_state sum;
    enum dp_status status = DP_OK;
    checksum64_begin(&sum);
    for (uint64_t at = 0; at < section->len && status == DP_OK; at += PIECE) {
        uint64_t left = section->len - at;
        struct store_read_req req = {.key = object_key_span(&c->dpr_key),
                                     .offset = section->offset + at,
                                     .len = (int64_t)(left < PIECE ? left : PIECE)};
        status = store_read(call, c->v->store, &req, 1);
        if (status == DP_OK)
            checksum64_update(&sum, req.bytes.span);
        store_read_release(&req, 1);
    }
    if (status == DP_OK && checksum64_end(&sum) != section->checksum)
        return call_fail(call, DP_CORRUPT, "the checksum of section %s does not fit", section_types[kind]);
    return status;
}

static enum dp_status check_sections(struct call *call, const struct segment_check *c)
{
    enum dp_status status = DP_OK;
    for (enum section_kind kind = 0; kind < SECTION_KINDS && status == DP_OK; kind++) {
        const struct segment_section *section = segment_section(&scanned(c)->hot, kind);
        if (section && !section_is_hot(kind))
            status = check_section(call, c, kind, section);
    }
    return status;
}

/* Verifies that the hot part has the head of the .ivf, if the manifest says so. */
static enum dp_status check_centroids(struct call *call, const struct segment_check *c,
                                      const struct manifest_segment *listed)
{
    const enum index_metric metric = c->v->manifest.vectors.metric;
    const struct segment_hot *hot = &scanned(c)->hot;
    struct buffer head;
    if (!listed->centroids)
        return DP_OK;
    buffer_init(&head, (size_t)hot->ivf_head);
    enum dp_status status =
        ivf_head_unpack(call, hot, metric == INDEX_COSINE ? VECTOR_INNER_PRODUCT : VECTOR_L2, &head);
    buffer_deinit(&head);
    return status;
}

/* ---- the segment ----------------------------------------------------------------------------------------- */

/* Returns whether the scan can say what the .ivf should hold. */
static bool begin_scan(struct call *call, struct segment_check *c, const struct manifest_segment *listed,
                       enum dp_status *status)
{
    struct verification *v = c->v;
    c->keys = mem_calloc((size_t)listed->rows, sizeof *c->keys);
    c->entries = mem_calloc((size_t)listed->rows, sizeof *c->entries);
    *status = c->keys && c->entries ? DP_OK : call_nomem(call, "a verification");
    if (*status)
        return false;
    *status = row_scan_open(call, v->store, v->name, &v->manifest, listed, 1, &c->scan);
    if (*status == DP_OK)
        *status = words_check_begin(call, &c->words, &scanned(c)->hot, &v->manifest.schema);
    if (*status == DP_OK)
        *status = columns_check_begin(call, &c->columns, v->store, &scanned(c)->hot, object_key_span(&c->dpr_key));
    if (*status == DP_OK)
        *status = row_scan_run(call, &c->scan, check_scanned_row, c);
    if (*status == DP_OK)
        *status = columns_check_end(call, &c->columns);
    if (*status == DP_OK)
        return true;
    *status = verify_fault(call, v, c->dpr_key.text);
    return false;
}

enum dp_status verify_segment(struct call *call, struct verification *v, const struct manifest_segment *listed)
{
    struct segment_check c = {.v = v};
    enum dp_status status;
    const struct object_home home = manifest_home(&v->manifest, v->name, listed->owner);
    key_of_ivf(&c.ivf_key, home.name, home.incarnation, &listed->id);
    key_of_dpr(&c.dpr_key, home.name, home.incarnation, &listed->id);
    round_init(&c.round, call, v->store, SCAN_ROUND_BYTES);
    if (begin_scan(call, &c, listed, &status)) {
        status = check_head(call, &c);
        if (status == DP_OK)
            status = check_ids(call, &c);
        if (status == DP_OK)
            status = check_sections(call, &c);
        if (status == DP_OK)
            status = words_check_run(call, &c.words, v->store, &scanned(&c)->hot, object_key_span(&c.dpr_key));
        if (status == DP_OK)
            status = check_centroids(call, &c, listed);
        if (status)
            status = verify_fault(call, v, c.dpr_key.text);
        if (status == DP_OK && listed->vectors)
            status = check_lists_of_rows(call, &c);
        if (status)
            status = verify_fault(call, v, c.ivf_key.text);
    }
    words_check_deinit(&c.words);
    columns_check_deinit(&c.columns);
    round_deinit(&c.round);
    row_scan_deinit(&c.scan);
    mem_free(c.keys);
    mem_free(c.entries);
    return status;
}
