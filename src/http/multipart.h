/* multipart/form-data (RFC 7578) parsed as it streams: small fields stay in memory, files go to
 * disk in a folder of the caller through the disk lane, with back-pressure on the connection.
 *
 * The files belong to the caller once fn got OK; on failure they are removed. */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include "http/server.h"

#define MULTIPART_FIELDS_MAX LIMIT(1000u, 4u)
#define MULTIPART_FILES_MAX  LIMIT(100u, 2u)
#define MULTIPART_FIELD_SIZE LIMIT(16u * 1024 * 1024, 1024u)
#define MULTIPART_HEAD_MAX   LIMIT(8192u, 512u)

struct multipart_part {
    struct str name;
    struct str value;    /* a field's text; .p NULL for a file */
    struct str filename; /* as sent, base name only, never with a '/' or NUL; "" when none */
    struct str type;     /* content type as sent */
    struct str path;     /* where a file lies */
    uint64_t size;
    uint8_t sha256[32]; /* of a file */
};

struct multipart_form {
    struct multipart_part *parts;
    size_t n;
};

typedef void (*MultipartFn)(void *arg, struct http_request *r, Status st,
                            const struct multipart_form *form, const struct err *err);

bool http_request_is_multipart(const struct http_request *r);
/* folder must exist; files are created 0600 with random names. body_max bounds everything together.
 */
void http_request_read_multipart(struct http_request *r, const char *folder, uint64_t body_max,
                                 MultipartFn fn, void *arg);

/* The pure parser underneath, for the fuzzer and tests. */
struct multipart_parser;
struct multipart_ops {
    Status (*on_part)(void *arg, struct str name, struct str filename, bool is_file,
                      struct str type);
    Status (*on_data)(void *arg, const uint8_t *p, size_t n);
    Status (*on_part_end)(void *arg);
};
struct multipart_parser *multipart_new(struct str boundary, const struct multipart_ops *ops,
                                       void *arg);
Status multipart_feed(struct multipart_parser *p, const uint8_t *data, size_t n,
                      struct err *err) MUST_USE;
Status multipart_end(struct multipart_parser *p,
                     struct err *err) MUST_USE; /* INVALID when cut short */
void multipart_free(struct multipart_parser *p);

#endif
