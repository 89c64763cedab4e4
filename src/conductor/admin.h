/* Administration from the shell: `orreryd admin --home DIR COMMAND ...`. While the conductor runs
 * the command is handed to it through DIR/control.sock (0600), so the same code serves both and
 * nothing is written twice; otherwise it works on the store itself. */
#ifndef CONDUCTOR_ADMIN_H
#define CONDUCTOR_ADMIN_H

#include "base/buf.h"
#include "base/status.h"

struct world;
struct control;

#define ADMIN_ARGS_MAX    32u
#define ADMIN_REQUEST_MAX (64u * 1024)

/* The running conductor's side. */
Status admin_listen(struct world *w, struct err *err) MUST_USE;
void admin_close(struct control *c);

/* The shell's side: exit code 0, 1 (failed) or 2 (usage). */
int admin_main(const char *home, int argc, char **argv);
void admin_usage(void);

#endif
