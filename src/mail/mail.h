/* Outgoing mail. A message is a row of the store until the mail server has taken it: it is put into
 * the transaction of the change that causes it, so that neither exists without the other; sending
 * starts by itself when the row is durable, and is tried again with back-off. */
#ifndef MAIL_MAIL_H
#define MAIL_MAIL_H

#include "base/id.h"
#include "store/store.h"

struct mail;

#define MAIL_RECIPIENTS_MAX LIMIT(100u, 4u)
#define MAIL_SUBJECT_MAX    LIMIT(1000u, 64u)
#define MAIL_BODY_MAX       LIMIT(1024u * 1024, 4096u)

/* All strings are copied. Addresses are comma lists; a line end in a header value is refused. */
struct mail_message {
    struct str to, cc, bcc;
    struct str from;    /* empty: the configured one */
    struct str subject; /* UTF-8 */
    struct str text;    /* plain text body, UTF-8; always there */
    struct str html;    /* empty: text only */
};

/* Adds the message to tx. INVALID names what is wrong with it; tx is then unchanged. m may not be
 * NULL; a conductor without a mail server keeps no mail and answers UNSUPPORTED. */
Status mail_put(struct mail *m, struct store_tx *tx, const struct mail_message *message, Usec now,
                struct err *err) MUST_USE;

#endif
