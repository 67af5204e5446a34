/* base/file_kind.h: what a file is by its first bytes, for the sentence that tells somebody why it is not what it
 * should be: the page of a login, a pointer of git-lfs, an archive. */
#ifndef BASE_FILE_KIND_H
#define BASE_FILE_KIND_H

#include "base/span.h"

enum file_kind {
    FILE_UNKNOWN,
    FILE_LFS_POINTER,
    FILE_HTML,
    FILE_STORE_ERROR, /* the XML of an S3 error */
    FILE_XML,
    FILE_GZIP,
    FILE_ZSTD,
    FILE_XZ,
    FILE_BZIP2,
    FILE_ZIP, /* .npz too */
    FILE_TAR,
    FILE_NPY,
    FILE_PARQUET,
    FILE_ARROW,
    FILE_HDF5,
    FILE_SQLITE,
    FILE_PICKLE,
    FILE_JSON,
    FILE_TEXT /* printable, none of the others; .csv */
};

enum { FILE_KIND_HEAD = 1024 }; /* first bytes that tell */

/* head: the first FILE_KIND_HEAD bytes of a file, or more, or all. */
enum file_kind file_kind_of(struct span head);
/* "a git-lfs pointer", …; NULL for FILE_UNKNOWN. */
const char *file_kind_name(enum file_kind kind);
/* What to do to get at the file that was meant, where that does not depend on what it was for: "run `git lfs pull`"; else
 * NULL. */
const char *file_kind_remedy(enum file_kind kind);

#endif
