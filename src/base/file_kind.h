/* base/file_kind.h: recognises a file by its first bytes, so that an error can say what the file is: a login page,
 * a git-lfs pointer, an archive. */
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
    FILE_TEXT /* any other printable text, such as .csv */
};

enum { FILE_KIND_HEAD = 1024 }; /* bytes that the check needs */

/* head: the first FILE_KIND_HEAD bytes of a file or more, or all of it. */
enum file_kind file_kind_of(struct span head);
/* "a git-lfs pointer", …; NULL for FILE_UNKNOWN. */
const char *file_kind_name(enum file_kind kind);
/* How to get the intended file: "run `git lfs pull`". NULL if that depends on the use of the file. */
const char *file_kind_remedy(enum file_kind kind);

#endif
