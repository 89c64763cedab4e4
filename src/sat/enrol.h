/* Enrolment: a token becomes an identity. GET URL/api/app/satellite/config?t=TOKEN gives the first
 * configuration (reference/satellite.md 14.2), which is merged into config.json. */
#ifndef SAT_ENROL_H
#define SAT_ENROL_H

#include "sat/sat.h"

#define ENROL_TOKEN_MAX 256u
#define ENROL_RETRY_MAX (30 * USEC_SEC)

/* Does nothing when the satellite has an identity from this conductor and token already. Otherwise
 * runs the loop until the conductor has answered; while it cannot be reached it is asked again and
 * again (a signal ends that: OK, and s->stopping or s->exit_code is set). DENIED when it refuses
 * the token. */
Status enrol(struct sat *s, const char *token, struct err *err) MUST_USE;

#endif
