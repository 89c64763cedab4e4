/* The conformance suite on the SQLite store. */
#include "suite.h"

int main(void)
{
    const struct CMUnitTest tests[] = { STORE_SUITE };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
