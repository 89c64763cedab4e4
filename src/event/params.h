/* Parameter definitions (a plugin's `params`, an event's `fields`) and the values given for them
 * (reference/api-objects.md 8.3, api-operations.md 1.5 and 4.12). Pure functions. */
#ifndef EVENT_PARAMS_H
#define EVENT_PARAMS_H

#include "json/json.h"

/* The definitions of a plugin: every rule. */
Status params_check_plugin(yyjson_val *params, struct err *err) MUST_USE;
/* The fields of an event: the looser set; plugin_params (may be NULL) holds the ids that are taken
 * when locked. */
Status params_check_fields(yyjson_val *fields, yyjson_val *plugin_params, struct err *err) MUST_USE;

/* Values for the definitions: required, regex, range. values may be NULL (none). prefix opens the
 * text: "Event Plugin". */
Status params_check_values(yyjson_val *definitions, yyjson_val *values, const char *prefix,
                           struct err *err) MUST_USE;

/* No key of params may override a property that is not for overriding (`_xy_override_plugin` ...).
 */
Status params_check_overrides(yyjson_val *params, struct err *err) MUST_USE;

/* "MIN - MAX / STEP": false when the text is no range, or v is outside it or between its steps. */
bool params_in_range(struct str range, double v);

/* The pattern compiles (JavaScript-flavoured PCRE2). */
bool params_regex_ok(struct str pattern);
/* The text matches; false also when the pattern is bad or takes too long. */
bool params_regex_match(struct str pattern, struct str text);

#endif
