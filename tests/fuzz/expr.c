/* rooms: expr json base */
/* Any text as an expression and as a template over a fixed context: no crash, no endless work. */
#include "expr/expr.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = str_n(data, size);
    AUTO(arena_free) struct arena *a = arena_new(32u << 20);
    AUTO(expr_free) struct expr *e = NULL;
    AUTO_BUF struct buf out = { 0 };
    yyjson_val *context = NULL;

    if (!a ||
        json_parse_in(a,
                      STR("{\"a\":{\"b\":[1,\"x\",null,{\"c\":2.5}]},\"t\":\"text\",\"n\":null,"
                          "\"m\":\"{{t}}\",\"list\":[{\"cmd\":\"ffmpeg\",\"mem\":12}]}"),
                      4096, &context, NULL))
        return 0;
    const struct expr_scope scope = { .context = context, .self = "input", .arena = a };
    const struct template_form form = { .missing = STR("n/a"), .again = size % 2 == 0 };
    struct expr_value v = { .kind = EXPR_MISSING };

    buf_init(&out, EXPR_TEXT_MAX);
    if (!expr_compile(text, &e, NULL) && !expr_eval(e, &scope, &v, NULL))
        (void)!expr_put_json(&v, &scope, &out, NULL);
    buf_clear(&out);
    (void)!template_expand(text, &form, &scope, &out, NULL);
    buf_clear(&out);
    (void)!template_fill(text, context, STR_NONE, &out);
    return 0;
}
