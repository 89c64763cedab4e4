/* Parameter definitions and values. One walk with a few switches serves a plugin's `params`
 * (strict) and an event's `fields` (looser), as the reference has them. Patterns are PCRE2 with the
 * options that come nearest to JavaScript's, and with a bound on the work of one match. */
#include "event/params.h"

#include "event/kinds.h"
#include "schema/schema.h"

#include <math.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>

#define REGEX_MATCH_LIMIT 100000u
#define REGEX_OPTIONS                                                                              \
    (PCRE2_UTF | PCRE2_ALT_BSUX | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF)
#define RANGE_TOLERANCE 1e-7
#define OVERRIDE        "_xy_override_"

static const char *const param_types[] = { "text",     "textarea", "code",   "json",
                                           "checkbox", "select",   "bucket", "system",
                                           "hidden",   "toolset",  "group",  NULL };
static const char *const text_variants[] = { "color", "date",   "datetime-local",
                                             "email", "number", "password",
                                             "text",  "time",   "tel",
                                             "url",   NULL };
static const char *const no_overrides[] = { "plugin",   "params",  "id",      "event",  "enabled",
                                            "category", "fields",  "actions", "limits", "triggers",
                                            "workflow", "command", "script",  "uid",    "gid",
                                            "cwd",      "env",     "kill",    "runner", NULL };

/* ---- patterns ---- */

static pcre2_code *regex_compile(struct str pattern)
{
    int code = 0;
    PCRE2_SIZE at = 0;

    if (!pattern.p || pattern.n > DEF_REGEX_MAX)
        return NULL;
    return pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, REGEX_OPTIONS, &code, &at, NULL);
}

bool params_regex_ok(struct str pattern)
{
    pcre2_code *re = regex_compile(pattern);

    pcre2_code_free(re);
    return re != NULL;
}

bool params_regex_match(struct str pattern, struct str text)
{
    pcre2_code *re = regex_compile(pattern);
    pcre2_match_data *data = re ? pcre2_match_data_create(1, NULL) : NULL;
    pcre2_match_context *context = re ? pcre2_match_context_create(NULL) : NULL;
    bool hit = false;

    if (data && context) {
        (void)pcre2_set_match_limit(context, REGEX_MATCH_LIMIT);
        hit = pcre2_match(re, (PCRE2_SPTR)(text.p ? text.p : ""), text.n, 0, 0, data, context) >= 0;
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(re);
    return hit;
}

/* ---- definitions ---- */

static bool has_tags(struct str s)
{
    return str_find_char(s, '<') < s.n || str_find_char(s, '>') < s.n;
}

/* ^[A-Za-z_][\w.-]*$ */
static bool param_id_ok(struct str id)
{
    if (id.n == 0 || (id.p[0] >= '0' && id.p[0] <= '9') || id.p[0] == '-' || id.p[0] == '.')
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] != '-' && id.p[i] != '.' && !str_is_word(str_slice(id, i, i + 1)))
            return false;
    return true;
}

static struct str without_override(struct str id)
{
    return str_starts(id, STR(OVERRIDE)) ? str_slice(id, sizeof OVERRIDE - 1, id.n) : id;
}

static bool is_no_override(struct str id)
{
    return str_starts(id, STR(OVERRIDE)) && def_word_among(without_override(id), no_overrides);
}

/* How strict, and what an error says. */
struct definition_rules {
    const char *path;  /* "params" */
    const char *text;  /* "Malformed plugin parameter" */
    bool strict;       /* a plugin's */
    yyjson_val *taken; /* ids that are not free when locked */
};

static Status definition_fail(const struct definition_rules *r, size_t i, struct str id,
                              const char *key, const char *why, struct err *err)
{
    char at[sizeof err->at];

    (void)snprintf(at, sizeof at, "%s[%zu].%s", r->path, i, key);
    return err_set(err, STATUS_INVALID, at, "%s: %.*s: %s", r->text, STR_FMT(str_slice(id, 0, 64)),
                   why);
}

static bool id_seen_before(yyjson_val *list, size_t i, struct str id)
{
    yyjson_val *other;
    yyjson_arr_iter it;

    yyjson_arr_iter_init(list, &it);
    for (size_t k = 0; k < i; k++) {
        other = yyjson_arr_iter_next(&it);
        if (str_eq(json_str(other, "id"), id))
            return true;
    }
    return false;
}

static bool id_is_locked(yyjson_val *taken, struct str id)
{
    yyjson_val *param;
    yyjson_arr_iter it;

    if (!yyjson_is_arr(taken))
        return false;
    yyjson_arr_iter_init(taken, &it);
    for (param = yyjson_arr_iter_next(&it); param; param = yyjson_arr_iter_next(&it))
        if (str_eq(json_str(param, "id"), id) && json_truthy(json_get(param, "locked")))
            return true;
    return false;
}

static Status definition_id(const struct definition_rules *r, yyjson_val *list, size_t i,
                            yyjson_val *def, struct err *err)
{
    const struct str id = json_str(def, "id");

    if (!id.p)
        return definition_fail(r, i, STR_NONE, "id", "id must be a string", err);
    if (r->strict ? !param_id_ok(id) : id.n == 0)
        return definition_fail(r, i, id, "id", "id has characters that are not allowed", err);
    if (schema_is_reserved(id) || schema_is_reserved(without_override(id)))
        return definition_fail(r, i, id, "id", "id is a reserved word", err);
    if (is_no_override(id))
        return definition_fail(r, i, id, "id", "this property cannot be overridden", err);
    if (id_seen_before(list, i, id))
        return definition_fail(r, i, id, "id", "id occurs twice", err);
    if (id_is_locked(r->taken, id))
        return definition_fail(r, i, id, "id", "id is that of a locked parameter of the plugin",
                               err);
    return STATUS_OK;
}

static Status definition_texts(const struct definition_rules *r, size_t i, yyjson_val *def,
                               struct str id, struct err *err)
{
    yyjson_val *title = json_get(def, "title");
    yyjson_val *caption = json_get(def, "caption");

    if (title || r->strict) {
        if (!yyjson_is_str(title) || (r->strict && json_val_str(title).n == 0))
            return definition_fail(r, i, id, "title", "title must be a non-empty string", err);
        if (has_tags(json_val_str(title)))
            return definition_fail(r, i, id, "title", "title must not hold < or >", err);
    }
    if (r->strict && caption && has_tags(json_val_str(caption)))
        return definition_fail(r, i, id, "caption", "caption must not hold < or >", err);
    return STATUS_OK;
}

static Status definition_check(const struct definition_rules *r, yyjson_val *list, size_t i,
                               yyjson_val *def, struct err *err)
{
    const struct str id = json_str(def, "id");
    const struct str type = json_str(def, "type");
    yyjson_val *variant = json_get(def, "variant");
    yyjson_val *regex = json_get(def, "regex");

    if (!yyjson_is_obj(def))
        return definition_fail(r, i, STR_NONE, "id", "not an object", err);
    Status st = definition_id(r, list, i, def, err);
    if (st)
        return st;
    if (!type.p || !def_word_among(type, param_types))
        return definition_fail(r, i, id, "type", "unknown type", err);
    st = definition_texts(r, i, def, id, err);
    if (st)
        return st;
    if (str_eq_z(type, "text") && json_truthy(variant) &&
        !def_word_among(json_val_str(variant), text_variants))
        return definition_fail(r, i, id, "variant", "unknown variant", err);
    if (json_truthy(regex) && !params_regex_ok(json_val_str(regex)))
        return definition_fail(r, i, id, "regex", "not a regular expression", err);
    return STATUS_OK;
}

static Status definitions_check(const struct definition_rules *r, yyjson_val *list, struct err *err)
{
    yyjson_val *def;
    yyjson_arr_iter it;
    size_t i = 0;

    if (!yyjson_is_arr(list))
        return err_set(err, STATUS_INVALID, r->path, "Malformed parameter: %s (must be an array)",
                       r->path);
    yyjson_arr_iter_init(list, &it);
    for (def = yyjson_arr_iter_next(&it); def; def = yyjson_arr_iter_next(&it)) {
        Status st = definition_check(r, list, i++, def, err);
        if (st)
            return st;
    }
    return STATUS_OK;
}

Status params_check_plugin(yyjson_val *params, struct err *err)
{
    const struct definition_rules rules = { .path = "params",
                                            .text = "Malformed plugin parameter",
                                            .strict = true };
    return definitions_check(&rules, params, err);
}

Status params_check_fields(yyjson_val *fields, yyjson_val *plugin_params, struct err *err)
{
    const struct definition_rules rules = { .path = "fields",
                                            .text = "Malformed user parameter",
                                            .taken = plugin_params };
    return fields ? definitions_check(&rules, fields, err) : STATUS_OK;
}

/* ---- values ---- */

static bool range_number(struct str s, double *ret)
{
    return str_to_double(str_trim(s), ret) && isfinite(*ret);
}

/* Splits "MIN - MAX / STEP" at the minus that separates: the first one behind a digit. */
static bool range_split(struct str range, double *ret_min, double *ret_max, struct str *ret_step)
{
    const size_t slash = str_find_char(range, '/');
    const struct str bounds = str_trim(str_slice(range, 0, slash));

    if (slash >= range.n)
        return false;
    *ret_step = str_trim(str_slice(range, slash + 1, range.n));
    for (size_t i = 1; i < bounds.n; i++) {
        if (bounds.p[i] != '-')
            continue;
        return range_number(str_slice(bounds, 0, i), ret_min) &&
               range_number(str_slice(bounds, i + 1, bounds.n), ret_max);
    }
    return false;
}

bool params_in_range(struct str range, double v)
{
    double min = 0;
    double max = 0;
    double step = 0;
    struct str step_text;

    if (!range_split(range, &min, &max, &step_text) || v < min || v > max)
        return false;
    if (str_eq_z(step_text, "any"))
        return true;
    if (!range_number(step_text, &step) || step <= 0)
        return false;
    const double steps = (v - min) / step;
    return fabs(steps - round(steps)) <= RANGE_TOLERANCE;
}

/* The text form of a value is empty: what "required" refuses. */
static bool value_empty(yyjson_val *v)
{
    if (!v || yyjson_is_null(v))
        return true;
    if (yyjson_is_str(v))
        return yyjson_get_len(v) == 0;
    return yyjson_is_arr(v) && yyjson_arr_size(v) == 0;
}

static bool value_number(yyjson_val *v, double *ret)
{
    if (yyjson_is_num(v)) {
        *ret = yyjson_get_num(v);
        return true;
    }
    return yyjson_is_str(v) && range_number(json_val_str(v), ret);
}

/* Numbers are matched by their text. */
static struct str value_text(yyjson_val *v, char out[64])
{
    if (yyjson_is_str(v))
        return json_val_str(v);
    if (yyjson_is_bool(v))
        return yyjson_is_true(v) ? STR("true") : STR("false");
    if (!yyjson_is_num(v))
        return STR("");
    const double n = yyjson_get_num(v);
    const bool whole = json_is_int(v) && fabs(n) < 1e15;
    (void)snprintf(out, 64, whole ? "%.0f" : "%.17g", n);
    return str_z(out);
}

static Status value_check(yyjson_val *def, yyjson_val *values, const char *prefix, struct err *err)
{
    const struct str id = json_str(def, "id");
    const struct str shown = str_slice(id, 0, 64);
    const struct str regex = json_str(def, "regex");
    const struct str range = json_str(def, "range");
    yyjson_val *v = json_get_str(values, id);
    char number[64];
    char at[sizeof err->at];
    double n = 0;

    (void)snprintf(at, sizeof at, "params.%.*s", STR_FMT(shown));
    if (value_empty(v)) {
        if (!json_truthy(json_get(def, "required")))
            return STATUS_OK;
        return err_set(err, STATUS_INVALID, at, "%s: Missing required parameter: %.*s", prefix,
                       STR_FMT(shown));
    }
    if (regex.n && !params_regex_match(regex, value_text(v, number)))
        return err_set(err, STATUS_INVALID, at,
                       "%s: Bad value for parameter: %.*s (does not match)", prefix,
                       STR_FMT(shown));
    if (range.n && !(value_number(v, &n) && params_in_range(range, n)))
        return err_set(err, STATUS_INVALID, at, "%s: Bad value for parameter: %.*s (out of range)",
                       prefix, STR_FMT(shown));
    return STATUS_OK;
}

Status params_check_values(yyjson_val *definitions, yyjson_val *values, const char *prefix,
                           struct err *err)
{
    yyjson_val *def;
    yyjson_arr_iter it;

    if (!yyjson_is_arr(definitions))
        return STATUS_OK;
    yyjson_arr_iter_init(definitions, &it);
    for (def = yyjson_arr_iter_next(&it); def; def = yyjson_arr_iter_next(&it)) {
        const struct str type = json_str(def, "type");
        if (!type.p || str_eq_z(type, "group") || str_eq_z(type, "hidden"))
            continue; /* no value of its own, or the definition's */
        Status st = value_check(def, values, prefix, err);
        if (st)
            return st;
    }
    return STATUS_OK;
}

Status params_check_overrides(yyjson_val *params, struct err *err)
{
    yyjson_val *key;
    yyjson_obj_iter it;

    if (!yyjson_is_obj(params))
        return STATUS_OK;
    yyjson_obj_iter_init(params, &it);
    for (key = yyjson_obj_iter_next(&it); key; key = yyjson_obj_iter_next(&it)) {
        const struct str name = json_val_str(key);
        if (is_no_override(name))
            return err_set(err, STATUS_INVALID, "params",
                           "Malformed parameter: params (%.*s cannot be overridden)",
                           STR_FMT(str_slice(name, 0, 64)));
    }
    return STATUS_OK;
}
