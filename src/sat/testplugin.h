/* The built-in test plugin (reference/satellite.md 38.4, in small): the satellite's own program run
 * as a job. Reads the job from standard input, reports progress for `duration` seconds, ends as
 * `action` says. */
#ifndef SAT_TESTPLUGIN_H
#define SAT_TESTPLUGIN_H

#define TESTPLUGIN_SECONDS_MAX 86400

/* The exit code of the process. */
int testplugin_main(void);

#endif
