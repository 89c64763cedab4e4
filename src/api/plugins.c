/* Plugins (reference/api-objects.md 8). Scripts are in the objects: any valid caller reads them. */
#include "api/api_int.h"

static void create_plugin(struct api_call *c)
{
    api_defs_create(c, DEF_PLUGIN, c->params);
}

static void delete_plugin(struct api_call *c)
{
    api_defs_delete(c, DEF_PLUGIN);
}

static void get_plugin(struct api_call *c)
{
    api_defs_get(c, DEF_PLUGIN);
}

static void get_plugins(struct api_call *c)
{
    api_defs_list(c, DEF_PLUGIN);
}

static void update_plugin(struct api_call *c)
{
    api_defs_update(c, DEF_PLUGIN, c->params);
}

const struct api_row api_plugin_rows[] = {
    { API_ROW("create_plugin", "plugins", CREATE_PLUGINS, NONE), .flags = API_BODY_ONLY,
      .out = "plugin", .errors = "api access plugin",
      .example = "{\"title\":\"Rsync\",\"type\":\"event\",\"command\":\"/usr/bin/rsync\"}",
      .doc = "Makes a plugin from the properties of a Plugin object.", .fn = create_plugin },
    { API_ROW("delete_plugin", "plugins", DELETE_PLUGINS, NONE), .flags = API_BODY_ONLY,
      .in = api_in_id, .errors = "api access plugin", .example = "{\"id\":\"rsync\"}",
      .doc = "Deletes a plugin; events that name it no longer run.", .fn = delete_plugin },
    { API_ROW("get_plugin", "plugins", NONE, NONE), .in = api_in_id, .out = "plugin",
      .errors = "api notfound", .example = "{\"id\":\"shellplug\"}", .doc = "Shows one plugin.",
      .fn = get_plugin },
    { API_ROW("get_plugins", "plugins", NONE, NONE), .out = "rows, list",
      .doc = "Lists all plugins.", .fn = get_plugins },
    { API_ROW("update_plugin", "plugins", EDIT_PLUGINS, NONE), .flags = API_BODY_ONLY,
      .in = api_in_id, .out = "plugin", .errors = "api access plugin",
      .example = "{\"id\":\"rsync\",\"enabled\":false}",
      .doc = "Merges the given properties into a plugin.", .fn = update_plugin },
    { 0 },
};
