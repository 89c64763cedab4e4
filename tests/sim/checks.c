/* What must hold when the world has come to rest: every confirmed launch has exactly one record,
 * which says what the job did; nothing is left anywhere. */
#include "sim.h"

bool sim_is_quiet(struct sim *s)
{
    if (!s->c.up || job_count(s->c.room) || s->disk.pending)
        return false;
    for (int i = 0; i < s->n_sats; i++) {
        if (!s->sats[i].up || !s->sats[i].link.up || !list_empty(&s->sats[i].jobs))
            return false;
    }
    return true;
}

static unsigned count_rows(yyjson_val *activity, const char *text)
{
    size_t i, max;
    yyjson_val *row;
    unsigned n = 0;

    yyjson_arr_foreach (activity, i, max, row)
        n += str_eq_z(json_str(row, "msg"), text);
    return n;
}

static bool is_prefix(struct str part, struct str whole)
{
    return part.n <= whole.n && (part.n == 0 || memcmp(part.p, whole.p, part.n) == 0);
}

/* The record says itself that its log is not whole: only after a fault of the conductor's disk. */
static bool log_warned(yyjson_val *record)
{
    return count_rows(json_get(record, "activity"),
                      "WARNING: The job log is incomplete: its end could not be fetched again") ==
           1;
}

static void check_log(struct sim *s, const struct model *m, yyjson_val *record, bool by_result)
{
    const struct str printed = buf_str(&m->printed);
    const uint64_t size = (uint64_t)json_i64(record, "log_file_size", 0);
    struct str log = json_str(record, "output");

    if (json_bool(record, "log_uploaded", false))
        log = disk_blob(s, id_str(&m->id));
    if (size == 0)
        log = STR(""); /* the output of a job that printed nothing is its description */
    sim_check(s, log.n == size, "%s: log of %zu bytes, said to be %llu", m->id.z, log.n,
              (unsigned long long)size);
    if (!m->exact)
        return; /* plain agents lose text with each connection */
    if (m->runs_allowed == 1)
        sim_check(s, is_prefix(log, printed), "%s: the log is not what the job printed", m->id.z);
    if (by_result && m->finished && !m->killed && !(m->disk_lost && log_warned(record)))
        sim_check(s, log.n == printed.n, "%s: log has %zu bytes, the job printed %zu", m->id.z,
                  log.n, printed.n);
}

static void check_exact_result(struct sim *s, const struct model *m, yyjson_val *record)
{
    yyjson_val *activity = json_get(record, "activity");

    if (m->killed)
        return;
    sim_check(s, m->runs == 1 || str_eq_z(json_str(record, "code"), "abort"),
              "%s ended by itself after %u runs", m->id.z, m->runs);
    sim_check(
        s, count_rows(activity, "Spawned child process") == 1 || m->runs == 0 || JOB_META_MAX < 100,
        "%s: activity rows are missing or double", m->id.z);
    if (m->finished && yyjson_is_num(json_get(record, "code")))
        sim_check(s, json_i64(record, "code", -1) == m->code, "%s: code %lld instead of %d",
                  m->id.z, (long long)json_i64(record, "code", -1), m->code);
}

static void check_abort(struct sim *s, const struct model *m, yyjson_val *record)
{
    const struct str why = json_str(record, "description");
    const bool by_person = str_eq_z(why, "Aborted by admin");

    sim_check(s,
              by_person || str_starts(why, STR("No updates received")) ||
                  str_starts(why, STR("No available servers")) ||
                  str_starts(why, STR("Maximum number")) || str_starts(why, STR("Chosen server")),
              "%s: aborted for no known reason: %.*s", m->id.z, STR_FMT(why));
    sim_check(s, !by_person || m->abort_asked, "%s: aborted by nobody", m->id.z);
    if (str_starts(why, STR("No updates")) && m->exact && m->sat >= 0)
        sim_check(s, s->sats[m->sat].longest_silence > 60 * USEC_SEC || m->killed || s->c.epoch > 2,
                  "%s: declared dead while its satellite was there", m->id.z);
}

static void check_record(struct sim *s, const struct model *m, const struct row *row)
{
    yyjson_doc *doc = NULL;
    yyjson_val *record;
    bool given_up;

    if (json_parse(str_n(row->json, row->n), 8u << 20, &doc, NULL) != STATUS_OK) {
        sim_check(s, false, "%s: record is no JSON", m->id.z);
        return;
    }
    record = yyjson_doc_get_root(doc);
    sim_trace(s, "record %.*s", STR_FMT(str_n(row->json, row->n)));
    given_up = json_bool(record, "given_up", false);
    sim_check(s,
              json_bool(record, "final", false) && str_eq_z(json_str(record, "state"), "complete"),
              "%s: record is not final", m->id.z);
    sim_check(s, !str_eq_z(json_str(record, "server"), "evil"), "%s: an agent set the server",
              m->id.z);
    sim_check(s, !m->label_acked || str_eq_z(json_str(record, "label"), "edited"),
              "%s: a confirmed edit is lost", m->id.z);
    if (str_eq_z(json_str(record, "code"), "abort"))
        check_abort(s, m, record);
    else
        sim_check(s, !m->abort_acked || m->finished || m->killed,
                  "%s: a confirmed abort was forgotten", m->id.z);
    if (m->exact && !given_up)
        check_exact_result(s, m, record);
    if (!m->disk_lost || (m->exact && !given_up && !m->killed))
        check_log(s, m, record, !given_up);
    json_doc_free(doc);
}

void checks_at_end(struct sim *s)
{
    size_t cursor = 0;
    void *value;

    sim_check(s, s->disk.rows.n == 0, "%zu rows in the journal without a job", s->disk.rows.n);
    sim_check(s, s->disk.logs.n == 0, "%zu live logs without a job", s->disk.logs.n);
    while (map_next(&s->models, &cursor, NULL, &value)) {
        const struct model *m = value;
        const struct row *row = disk_row(&s->disk.records, id_str(&m->id));

        if (!row) {
            sim_check(s, !m->acked || (m->ephemeral && m->archived),
                      "%s was confirmed and has no record", m->id.z);
            continue;
        }
        check_record(s, m, row);
    }
}
