/* Property rows that the kinds share. For the kinds_*.c of this room only. */
#ifndef EVENT_PROPS_H
#define EVENT_PROPS_H

#include "event/kinds.h"

/* clang-format off */
#define PROP_ID                                                                                    \
    {                                                                                              \
        .name = "id", .type = P_ID, .doc = "Id; made by the server when absent, never changes."    \
    }
#define PROP_TITLE                                                                                 \
    {                                                                                              \
        .name = "title", .type = P_TEXT, .flags = P_REQUIRED | P_NOTAGS, .max = DEF_TITLE_MAX,     \
        .ui = UI_LINE, .doc = "Name shown in lists."                                               \
    }
#define PROP_ICON                                                                                  \
    {                                                                                              \
        .name = "icon", .type = P_TEXT, .max = 64, .ui = UI_LINE,                                  \
        .doc = "Icon id of the Material Design set, without prefix."                               \
    }
#define PROP_NOTES                                                                                 \
    {                                                                                              \
        .name = "notes", .type = P_TEXT, .flags = P_STRIP, .max = DEF_NOTES_MAX, .ui = UI_AREA,    \
        .doc = "Free text for people."                                                             \
    }
#define PROP_KEEPING                                                                               \
    { .name = "username", .type = P_TEXT, .flags = P_READONLY, .doc = "Who made it." },            \
        { .name = "created",                                                                       \
          .type = P_INT,                                                                           \
          .flags = P_READONLY,                                                                     \
          .doc = "Unix time of its making." },                                                     \
        { .name = "modified",                                                                      \
          .type = P_INT,                                                                           \
          .flags = P_READONLY,                                                                     \
          .doc = "Unix time of the last change." },                                                \
    {                                                                                              \
        .name = "revision", .type = P_INT, .flags = P_READONLY,                                    \
        .doc = "Grows by one with each change."                                                    \
    }
#define PROP_SORT_ORDER                                                                            \
    {                                                                                              \
        .name = "sort_order", .type = P_INT, .max = INT32_MAX, .ui = UI_NONE,                      \
        .doc = "Place in lists; set by the server at create."                                      \
    }
/* clang-format on */

#endif
