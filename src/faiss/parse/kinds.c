/* parse/kinds.c: refuses FAISS's other kinds of index, and other files, in plain words and with a way out. */
#include <inttypes.h>
#include <stdio.h>

#include "base/file_kind.h"
#include "faiss/parse/format.h"
#include "faiss/parse/parse.h"

static const char supported[] =
    "IVF files (Flat, SQ, PQ, fast scan, RaBitQ), flat files and SQ, alone or with transforms, "
    "id maps and RFlat";

/* For kinds from which FAISS can reconstruct the vectors. */
#define REBUILD                                                                                                  \
    "make an IVF file of its vectors: in Python numpy.save(\"x.npy\", faiss.read_index(FILE).reconstruct_n()), " \
    "then `dipper faiss build FILE.ivf --vectors x.npy`"
/* For kinds from which it cannot. */
#define BUILD "make an IVF file of the vectors: `dipper faiss build FILE.ivf --vectors x.npy`"

static const struct {
    char fourcc[5];
    const char *words, *way;
} kinds[] = {
    {"IHNf", "an HNSW graph (IndexHNSWFlat)", REBUILD},
    {"IHNp", "an HNSW graph over product quantizer codes", REBUILD},
    {"IHNs", "an HNSW graph over scalar codes", REBUILD},
    {"IHN2", "an HNSW graph over two levels", REBUILD},
    {"IHNc", "an HNSW graph made by CAGRA", REBUILD},
    {"IHc2", "an HNSW graph made by CAGRA", REBUILD},
    {"INSf", "an NSG graph", REBUILD},
    {"INSp", "an NSG graph over product quantizer codes", REBUILD},
    {"INSs", "an NSG graph over scalar codes", REBUILD},
    {"INNf", "an NNDescent graph", REBUILD},
    {"IxPq", "a product quantizer without an inverted file (IndexPQ)", REBUILD},
    {"IxPQ", "a product quantizer without an inverted file (IndexPQ)", REBUILD},
    {"IxPo", "a product quantizer without an inverted file (IndexPQ)", REBUILD},
    {"IPfs", "a fast-scan product quantizer without an inverted file", REBUILD},
    {"IxRq", "a residual quantizer", REBUILD},
    {"IxRQ", "a residual quantizer", REBUILD},
    {"IxLS", "a local search quantizer", REBUILD},
    {"IxPR", "a product of residual quantizers", REBUILD},
    {"IxPL", "a product of local search quantizers", REBUILD},
    {"IRfs", "a fast-scan residual quantizer", REBUILD},
    {"ILfs", "a fast-scan local search quantizer", REBUILD},
    {"IPRf", "a fast-scan product of residual quantizers", REBUILD},
    {"IPLf", "a fast-scan product of local search quantizers", REBUILD},
    {"Ixrq", "RaBitQ without an inverted file", BUILD},
    {"Ixrr", "RaBitQ without an inverted file", BUILD},
    {"Irfs", "fast-scan RaBitQ without an inverted file", BUILD},
    {"IxHe", "locality-sensitive hashes (IndexLSH)", BUILD},
    {"Ix2L", "codes of two levels (Index2Layer)", REBUILD},
    {"IxLa", "a lattice quantizer", REBUILD},
    {"IRMf", "codes by rows' minima and maxima", REBUILD},
    {"IRMh", "codes by rows' minima and maxima", REBUILD},
    {"IwQR", "an IVF file of PQ codes refined by others (IVFPQR)", REBUILD},
    {"IwFd", "an IVF file without duplicate vectors (FlatDedup)", "make it with IVFn,Flat, or " BUILD},
    {"IwRQ", "an IVF file of residual quantizer codes", REBUILD},
    {"IwLS", "an IVF file of local search quantizer codes", REBUILD},
    {"IwPR", "an IVF file of codes of a product of residual quantizers", REBUILD},
    {"IwPL", "an IVF file of codes of a product of local search quantizers", REBUILD},
    {"IVRf", "an IVF file of fast-scan residual quantizer codes", REBUILD},
    {"IVLf", "an IVF file of fast-scan local search quantizer codes", REBUILD},
    {"NPRf", "an IVF file of fast-scan codes of a product of residual quantizers", REBUILD},
    {"NPLf", "an IVF file of fast-scan codes of a product of local search quantizers", REBUILD},
    {"IwSh", "an IVF file of spectral hashes", BUILD},
    {"IwIQ", "an IVF file with an independent quantizer (IndexIVFIndependentQuantizer)", REBUILD},
    {"Iwrf", "an IVF file of fast-scan RaBitQ codes as FAISS wrote them before 1.13",
     "write it anew with a later FAISS"},
    {"IBxF", "a binary index: its vectors are bits", "search it with FAISS"},
    {"IBwF", "a binary IVF file: its vectors are bits", "search it with FAISS"},
    {"IBFf", "a binary index: its vectors are bits", "search it with FAISS"},
    {"IBHf", "a binary HNSW graph: its vectors are bits", "search it with FAISS"},
    {"IBHh", "a binary hash: its vectors are bits", "search it with FAISS"},
    {"IBHm", "a binary hash: its vectors are bits", "search it with FAISS"},
    {"IBMp", "a binary index: its vectors are bits", "search it with FAISS"},
    {"IBM2", "a binary index: its vectors are bits", "search it with FAISS"},
    {"Imiq", "an inverted multi-index (IMI)", REBUILD},
    {"ImRQ", "a residual coarse quantizer", REBUILD},
    {"Viqt", "an ITQ transform, which makes bits", BUILD},
    {"ilod", "in a second file (OnDiskInvertedLists)",
     "put them into one file: in Python copy each list into faiss.ArrayInvertedLists(nlist, code_size) by "
     "add_entries, then replace_invlists and write_index"},
};

static size_t find_kind(uint32_t fourcc)
{
    size_t i = 0;
    while (i < sizeof kinds / sizeof *kinds && memcmp(kinds[i].fourcc, &fourcc, 4) != 0)
        i++;
    return i;
}

enum dp_status parse_refuse_part(struct faiss_parser *p, const char *what, uint32_t fourcc, const char *others)
{
    char text[FOURCC_TEXT_MAX];
    size_t i = find_kind(fourcc);
    parse_fourcc_text(fourcc, text);
    if (i < sizeof kinds / sizeof *kinds)
        return source_fail(&p->source, DP_UNSUPPORTED, "%s %s ('%s'); supported: %s. Instead, %s", what,
                           kinds[i].words, text, others, kinds[i].way);
    return source_fail(&p->source, DP_UNSUPPORTED, "%s of kind '%s'; supported: %s", what, text, others);
}

/* How to get an index from a file of this kind. */
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

enum dp_status parse_refuse_file(struct faiss_parser *p, uint32_t fourcc)
{
    char text[FOURCC_TEXT_MAX];
    struct span head = source_head(&p->source);
    enum file_kind kind = find_kind(fourcc) < sizeof kinds / sizeof *kinds ? FILE_UNKNOWN : file_kind_of(head);
    if (kind != FILE_UNKNOWN) {
        const char *remedy = file_kind_remedy(kind);
        return source_fail(&p->source, DP_UNSUPPORTED, "it is not a FAISS file but %s; %s", file_kind_name(kind),
                           remedy ? remedy : way_to_build(kind));
    }
    if (find_kind(fourcc) < sizeof kinds / sizeof *kinds)
        return parse_refuse_part(p, "it is", fourcc, supported);
    return source_fail(&p->source, DP_UNSUPPORTED,
                       "it begins with '%s', an unknown kind of FAISS index; supported: %s",
                       parse_fourcc_text(fourcc, text), supported);
}

const char *parse_metric_name(int32_t metric)
{
    static const char *const names[] = {
        "inner product", "L2",   "L1", "Linf", "Lp", [20] = "Canberra", "Bray-Curtis", "Jensen-Shannon", "Jaccard",
        "NaN-Euclidean", "Gower"};
    bool named = metric >= 0 && (size_t)metric < sizeof names / sizeof *names && names[metric];
    return named ? names[metric] : "an unknown metric";
}
