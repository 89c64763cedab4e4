/* Server groups (reference/api-objects.md 6). Which servers are in them is fleet/'s business. */
#include "api/api_int.h"
#include "event/params.h"

/* The reference answers a bad expression by the code of the family. False: replied. */
static bool need_pattern(struct api_call *c)
{
    const struct str pattern = json_str(c->params, "hostname_match");

    if (str_trim(pattern).n == 0 || params_regex_ok(pattern))
        return true;
    api_error(c, "group", "Malformed parameter: hostname_match (not a regular expression)");
    return false;
}

static void create_group(struct api_call *c)
{
    if (need_pattern(c))
        api_defs_create(c, DEF_GROUP, c->params);
}

static void delete_group(struct api_call *c)
{
    api_defs_delete(c, DEF_GROUP);
}

static void get_group(struct api_call *c)
{
    api_defs_get(c, DEF_GROUP);
}

static void get_groups(struct api_call *c)
{
    api_defs_list(c, DEF_GROUP);
}

static void multi_update_group(struct api_call *c)
{
    api_defs_multi_update(c, DEF_GROUP);
}

static void update_group(struct api_call *c)
{
    if (need_pattern(c))
        api_defs_update(c, DEF_GROUP, c->params);
}

const struct api_row api_group_rows[] = {
    { API_ROW("create_group", "groups", CREATE_GROUPS, GROUP), .flags = API_BODY_ONLY,
      .out = "group", .errors = "api access group",
      .example = "{\"title\":\"Databases\",\"hostname_match\":\"^db\"}",
      .doc = "Makes a server group from the properties of a Group object.", .fn = create_group },
    { API_ROW("delete_group", "groups", DELETE_GROUPS, GROUP), .flags = API_BODY_ONLY,
      .in = api_in_id, .errors = "api access group", .example = "{\"id\":\"databases\"}",
      .doc = "Deletes a server group; its servers stay.", .fn = delete_group },
    { API_ROW("get_group", "groups", NONE, GROUP), .in = api_in_id, .out = "group",
      .errors = "api notfound access", .example = "{\"id\":\"main\"}",
      .doc = "Shows one server group.", .fn = get_group },
    { API_ROW("get_groups", "groups", NONE, FILTERED), .out = "rows, list",
      .doc = "Lists the server groups that the caller may see.", .fn = get_groups },
    { API_ROW("multi_update_group", "groups", EDIT_GROUPS, UNLIMITED), .flags = API_BODY_ONLY,
      .errors = "session access group",
      .example = "{\"items\":[{\"id\":\"main\",\"sort_order\":0}]}",
      .doc = "Changes the order of groups: merges each of `items` into the group of its id.",
      .fn = multi_update_group },
    { API_ROW("update_group", "groups", EDIT_GROUPS, GROUP), .flags = API_BODY_ONLY,
      .in = api_in_id, .errors = "api access group",
      .example = "{\"id\":\"main\",\"title\":\"Main\"}",
      .doc = "Merges the given properties into a server group.", .fn = update_group },
    { 0 },
};
