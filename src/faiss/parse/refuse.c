/* parse/refuse.c: refuses kinds of index that this room does not read, and other files. The error names the kind
 * and says what to do. */
#include "base/file_kind.h"
#include "faiss/parse/parse.h"

enum dp_status parse_refuse_part(struct faiss_parser *p, const char *what, uint32_t fourcc, const char *others)
{
    char text[FOURCC_TEXT_MAX];
    const struct parse_kind *kind = parse_find_kind(fourcc);
    parse_fourcc_text(fourcc, text);
    if (kind && kind->name)
        return source_fail(&p->source, DP_UNSUPPORTED, "%s %s ('%s'); supported: %s. Instead, %s", what,
                           kind->name, text, others, kind->way);
    return source_fail(&p->source, DP_UNSUPPORTED, "%s of kind '%s'; supported: %s", what, text, others);
}

/* Returns a sentence that says how to get an index from a file of this kind. */
static const char *way_to_build(enum file_kind kind)
{
    switch (kind) {
    case FILE_NPY: return "build an index of its vectors: `dipper faiss build FILE.ivf --vectors FILE.npy`";
    case FILE_PICKLE:
        return "LangChain keeps texts in index.pkl and the index in index.faiss beside it; write other indexes "
               "with faiss.write_index";
    case FILE_PARQUET:
    case FILE_ARROW:
    case FILE_HDF5:
    case FILE_SQLITE:
    case FILE_JSON:
    case FILE_TEXT:
        return "if it holds vectors, save them by numpy.save(\"x.npy\", …) as rows of float32, then `dipper "
               "faiss build FILE.ivf --vectors x.npy`";
    default: return "check that this is the right file";
    }
}

enum dp_status parse_refuse_file(struct faiss_parser *p)
{
    char text[FOURCC_TEXT_MAX];
    struct span head = source_head(&p->source);
    enum file_kind kind = p->kind ? FILE_UNKNOWN : file_kind_of(head);
    if (kind != FILE_UNKNOWN) {
        const char *remedy = file_kind_remedy(kind);
        return source_fail(&p->source, DP_UNSUPPORTED, "it is not a FAISS file but %s; %s", file_kind_name(kind),
                           remedy ? remedy : way_to_build(kind));
    }
    if (p->kind)
        return parse_refuse_part(p, "it is", p->fourcc, parse_supported);
    return source_fail(&p->source, DP_UNSUPPORTED,
                       "it begins with '%s', an unknown kind of FAISS index; supported: %s",
                       parse_fourcc_text(p->fourcc, text), parse_supported);
}

const char *parse_metric_name(int32_t metric)
{
    static const char *const names[] = {
        "inner product", "L2",   "L1", "Linf", "Lp", [20] = "Canberra", "Bray-Curtis", "Jensen-Shannon", "Jaccard",
        "NaN-Euclidean", "Gower"};
    bool named = metric >= 0 && (size_t)metric < sizeof names / sizeof *names && names[metric];
    return named ? names[metric] : "an unknown metric";
}
