/* The state machine as a table: a pair (from, on) with no row is a bug: logged as job.refused,
 * counted, and nothing happens. The picture in docs/internals/job.md is drawn from it (script/gen).
 */
#ifndef JOB_MOVES_H
#define JOB_MOVES_H

#include "job/job.h"

#define JOB_INPUTS(X)                                                                              \
    X(DUE, "its time has come")                                                                    \
    X(NO_SLOT, "no slot or no server, room in the queue")                                          \
    X(REFUSED, "no slot or no server, no room in the queue")                                       \
    X(SLOT, "slot and server free")                                                                \
    X(CHOSEN, "server chosen")                                                                     \
    X(STARTED, "start actions done, launch journalled")                                            \
    X(REPORT, "the satellite reports it running")                                                  \
    X(ENDING, "the satellite reports its end, files on their way")                                 \
    X(RESULT, "the satellite's final result")                                                      \
    X(ABORT, "abort decided here")                                                                 \
    X(DEAD, "no word for too long")                                                                \
    X(LOST, "the satellite no longer has it")                                                      \
    X(ARCHIVED, "the record is durable")

enum job_input {
#define X(name, text) JOB_ON_##name,
    JOB_INPUTS(X)
#undef X
        JOB_INPUT_COUNT
};

struct job_move {
    enum job_state from;
    enum job_input on;
    enum job_state to;
    const char *doc;
};
extern const struct job_move job_moves[];
extern const size_t job_moves_count;

/* The row, or NULL. */
const struct job_move *job_move_find(enum job_state from, enum job_input on);
const char *job_input_name(enum job_input on);

#endif
