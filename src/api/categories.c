/* Categories (reference/api-objects.md 4). */
#include "api/api_int.h"

static void create_category(struct api_call *c)
{
    api_defs_create(c, DEF_CATEGORY, c->params);
}

static void delete_category(struct api_call *c)
{
    api_defs_delete(c, DEF_CATEGORY);
}

static void get_categories(struct api_call *c)
{
    api_defs_list(c, DEF_CATEGORY);
}

static void get_category(struct api_call *c)
{
    api_defs_get(c, DEF_CATEGORY);
}

static void multi_update_category(struct api_call *c)
{
    api_defs_multi_update(c, DEF_CATEGORY);
}

static void update_category(struct api_call *c)
{
    api_defs_update(c, DEF_CATEGORY, c->params);
}

const struct api_row api_category_rows[] = {
    { API_ROW("create_category", "categories", CREATE_CATEGORIES, CATEGORY), .flags = API_BODY_ONLY,
      .out = "category", .errors = "api access category",
      .example = "{\"title\":\"Backups\",\"enabled\":true,\"color\":\"blue\"}",
      .doc = "Makes a category from the properties of a Category object.", .fn = create_category },
    { API_ROW("delete_category", "categories", DELETE_CATEGORIES, CATEGORY), .flags = API_BODY_ONLY,
      .in = api_in_id, .errors = "api access category", .example = "{\"id\":\"backups\"}",
      .doc = "Deletes a category; refused while an event is in it.", .fn = delete_category },
    { API_ROW("get_categories", "categories", NONE, FILTERED), .out = "rows, list",
      .doc = "Lists the categories that the caller may see.", .fn = get_categories },
    { API_ROW("get_category", "categories", NONE, CATEGORY), .in = api_in_id, .out = "category",
      .errors = "api notfound access", .example = "{\"id\":\"general\"}",
      .doc = "Shows one category.", .fn = get_category },
    { API_ROW("multi_update_category", "categories", EDIT_CATEGORIES, UNLIMITED),
      .flags = API_BODY_ONLY, .errors = "session access category",
      .example = "{\"items\":[{\"id\":\"general\",\"sort_order\":1}]}",
      .doc = "Changes the order of categories: merges each of `items` into the category of its id.",
      .fn = multi_update_category },
    { API_ROW("update_category", "categories", EDIT_CATEGORIES, CATEGORY), .flags = API_BODY_ONLY,
      .in = api_in_id, .errors = "api access category",
      .example = "{\"id\":\"general\",\"title\":\"General\"}",
      .doc = "Merges the given properties into a category.", .fn = update_category },
    { 0 },
};
