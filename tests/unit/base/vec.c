/* Tests of base/vec.h and base/list.h. */
#include "base/vec.h"

#include "base/list.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_vec(void **state)
{
    struct vec v = { 0 };
    int items[100];

    (void)state;
    assert_null(vec_pop(&v));
    for (int i = 0; i < 100; i++)
        assert_int_equal(vec_push(&v, &items[i]), STATUS_OK);
    assert_int_equal(v.n, 100);
    vec_remove(&v, 0);
    assert_ptr_equal(v.at[0], &items[1]);
    assert_ptr_equal(v.at[98], &items[99]);
    vec_remove_swap(&v, 0);
    assert_ptr_equal(v.at[0], &items[99]);
    assert_int_equal(v.n, 98);
    vec_remove(&v, 97);
    vec_remove(&v, 97); /* beyond the end: nothing */
    assert_int_equal(v.n, 97);
    assert_ptr_equal(vec_pop(&v), &items[97]);
    vec_done(&v);
    assert_int_equal(v.n, 0);
}

struct thing {
    int number;
    struct list link;
};

static int number_at(struct list *node)
{
    return CONTAINER_OF(node, struct thing, link)->number;
}

static void test_list(void **state)
{
    struct thing a = { .number = 1 }, b = { .number = 2 }, c = { .number = 3 };
    struct list head;
    int sum = 0;

    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    list_push(&head, &b.link);
    list_push(&head, &c.link);
    list_push_front(&head, &a.link);
    assert_int_equal(number_at(head.next), 1);
    assert_int_equal(number_at(head.prev), 3);
    LIST_EACH (it, &head)
        sum = sum * 10 + number_at(it);
    assert_int_equal(sum, 123);
    LIST_EACH_SAFE (it, &head) {
        if (number_at(it) != 2)
            list_remove(it);
    }
    assert_ptr_equal(head.next, &b.link);
    assert_ptr_equal(head.prev, &b.link);
    assert_true(list_empty(&a.link));
    list_remove(&b.link);
    list_remove(&b.link); /* a lone node: nothing */
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vec),
        cmocka_unit_test(test_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
