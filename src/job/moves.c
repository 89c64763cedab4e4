/* The rows of the state machine. What happens beside the change of state lies with the callers
 * (queue.c, update.c, finish.c); here is only what may follow what. */
#include "job/moves.h"

const struct job_move job_moves[] = {
    { JOB_START_DELAY, JOB_ON_DUE, JOB_READY, "The start time has come." },
    { JOB_START_DELAY, JOB_ON_ABORT, JOB_COMPLETE, "Aborted while it waited." },
    { JOB_RETRY_DELAY, JOB_ON_DUE, JOB_READY, "The time of the next attempt has come." },
    { JOB_RETRY_DELAY, JOB_ON_ABORT, JOB_COMPLETE, "Aborted while it waited." },
    { JOB_READY, JOB_ON_NO_SLOT, JOB_QUEUED, "Waits for a slot or a server." },
    { JOB_READY, JOB_ON_REFUSED, JOB_COMPLETE, "Nothing free and no room to wait." },
    { JOB_READY, JOB_ON_CHOSEN, JOB_STARTING, "A server was chosen; start actions run." },
    { JOB_READY, JOB_ON_ABORT, JOB_COMPLETE, "Aborted before it was placed." },
    { JOB_QUEUED, JOB_ON_SLOT, JOB_READY, "Its turn." },
    { JOB_QUEUED, JOB_ON_ABORT, JOB_COMPLETE, "Aborted in the queue." },
    { JOB_STARTING, JOB_ON_STARTED, JOB_ACTIVE, "The launch leaves as soon as it is journalled." },
    { JOB_STARTING, JOB_ON_ABORT, JOB_COMPLETE, "Aborted before the launch." },
    { JOB_ACTIVE, JOB_ON_REPORT, JOB_ACTIVE, "It runs." },
    { JOB_ACTIVE, JOB_ON_ENDING, JOB_FINISHING, "The process is over; its files are being sent." },
    { JOB_ACTIVE, JOB_ON_RESULT, JOB_COMPLETE, "The satellite's result." },
    { JOB_ACTIVE, JOB_ON_ABORT, JOB_COMPLETE,
      "Ended here: the satellite does not have it or cannot say." },
    { JOB_ACTIVE, JOB_ON_DEAD, JOB_COMPLETE, "No word for too long." },
    { JOB_ACTIVE, JOB_ON_LOST, JOB_COMPLETE, "The satellite had it and lost it." },
    { JOB_FINISHING, JOB_ON_REPORT, JOB_FINISHING, "Still sending files." },
    { JOB_FINISHING, JOB_ON_ENDING, JOB_FINISHING, "Still sending files." },
    { JOB_FINISHING, JOB_ON_RESULT, JOB_COMPLETE, "The satellite's result." },
    { JOB_FINISHING, JOB_ON_ABORT, JOB_COMPLETE, "Ended here while files were being sent." },
    { JOB_FINISHING, JOB_ON_DEAD, JOB_COMPLETE, "No word for too long." },
    { JOB_FINISHING, JOB_ON_LOST, JOB_COMPLETE, "The satellite had it and lost it." },
    { JOB_COMPLETE, JOB_ON_RESULT, JOB_COMPLETE,
      "The same result again: answered once the record is durable." },
    { JOB_COMPLETE, JOB_ON_ARCHIVED, JOB_COMPLETE,
      "The record is durable: the job leaves memory." },
};
const size_t job_moves_count = COUNT_OF(job_moves);

const struct job_move *job_move_find(enum job_state from, enum job_input on)
{
    for (size_t i = 0; i < job_moves_count; i++) {
        if (job_moves[i].from == from && job_moves[i].on == on)
            return &job_moves[i];
    }
    return NULL;
}

const char *job_input_name(enum job_input on)
{
    static const char *const names[] = {
#define X(name, text) #name,
        JOB_INPUTS(X)
#undef X
    };

    return (size_t)on < COUNT_OF(names) ? names[on] : "?";
}

const char *job_state_name(enum job_state s)
{
    static const char *const names[] = {
#define X(name, text) text,
        JOB_STATES(X)
#undef X
    };

    return (size_t)s < COUNT_OF(names) ? names[s] : "?";
}

const char *job_source_name(enum job_source s)
{
    static const char *const names[JOB_SOURCE_COUNT] = {
        [JOB_SOURCE_SCHEDULER] = "scheduler",
        [JOB_SOURCE_PLUGIN] = "plugin",
        [JOB_SOURCE_KEY] = "key",
        [JOB_SOURCE_USER] = "user",
        [JOB_SOURCE_ACTION] = "action",
        [JOB_SOURCE_ALERT] = "alert",
        [JOB_SOURCE_WORKFLOW] = "workflow",
        [JOB_SOURCE_MAGIC] = "magic",
        [JOB_SOURCE_STARTUP] = "startup",
    };

    return (size_t)s < COUNT_OF(names) ? names[s] : "?";
}
