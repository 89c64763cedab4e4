/* Names that may not be used; included into every file by the build. The right column is what to
 * use. Only the calls are refused, after the headers that declare them. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#undef sprintf /* macros in fortified builds */
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf /* buf_printf, snprintf, str_copy_z */
#pragma GCC poison strtok strtok_r                /* str_split */
#pragma GCC poison atoi atol atoll atof           /* str_to_i64, str_to_double */
#pragma GCC poison gets mktemp tmpnam tempnam     /* mkstemp */
#pragma GCC poison system popen                   /* proc_spawn */
#pragma GCC poison localtime gmtime ctime asctime /* clock.h */
#pragma GCC poison srand srandom drand48          /* rng.h, crypto.h */
#pragma GCC poison sleep usleep                   /* a timer */

/* Libraries call parameters and members so: refused where they are called, not as words. */
int rand(void) __attribute__((deprecated("use base/rng.h or crypto/crypto.h")));
long random(void) __attribute__((deprecated("use base/rng.h or crypto/crypto.h")));

#endif
