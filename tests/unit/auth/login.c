/* Log-in, sessions, lock-outs. */
#include "auth_fixture.h"

static struct auth_credentials session_of(const struct login_outcome *o, const char *csrf,
                                          bool safe)
{
    return (struct auth_credentials){ .session_id = str_z(o->session.id),
                                      .csrf_token = str_z(csrf),
                                      .safe_method = safe };
}

static void test_auth_login_opens_a_session(void **state)
{
    struct house *h = *state;
    struct auth_user u = { .admin = false };

    make_user(h, "Ada.L", "pass word", "'privileges':{'run_jobs':true},'groups':['db']");
    struct login_outcome o = log_in(h, "ada.l", "pass word", NOW);
    assert_int_equal(o.st, STATUS_OK);
    assert_string_equal(o.session.username.z, "adal");
    assert_int_equal(strlen(o.session.id), 64);
    assert_int_equal(strlen(o.session.csrf_token), 64);
    assert_true(o.session.expires == INT64_C(1800000000) * USEC_SEC + 10 * USEC_DAY);

    struct auth_credentials c = session_of(&o, "", true);
    assert_string_equal(checked(h, &c, NOW, &u), "");
    assert_false(u.is_key);
    assert_str(u.username, "Ada.L");
    assert_str(u.creator, "Ada.L");
    assert_str(u.title, "Ada.L Full");
    assert_true(str_eq_z(u.session_id, o.session.id));
    assert_true(auth_has(&u, PRIV_RUN_JOBS));
    assert_int_equal(u.n_groups, 1);

    c = session_of(&o, "", false);
    assert_string_equal(checked(h, &c, NOW, NULL), "session");
    c = session_of(&o, "wrong", false);
    assert_string_equal(checked(h, &c, NOW, NULL), "session");
    c = session_of(&o, o.session.csrf_token, false);
    assert_string_equal(checked(h, &c, NOW, NULL), "");
    assert_string_equal(checked(h, &c, o.session.expires - 1, NULL), "");
    assert_string_equal(checked(h, &c, o.session.expires, NULL), "session");
}

static void test_auth_session_row_has_no_id(void **state)
{
    struct house *h = *state;
    const struct store_query all = { .table = TABLE_SESSIONS, .order_by = STORE_COLUMN_ID };
    const struct store_condition is_login = {
        ACTIVITY_ACTION, OP_EQ, { .type = VALUE_TEXT, .text = { "user_login", 10 } }
    };
    const struct store_query activity = {
        .table = TABLE_ACTIVITY, .where = &is_login, .n_where = 1, .order_by = STORE_COLUMN_ID
    };

    make_user(h, "ada", "pw", "");
    const struct login_outcome o = log_in(h, "ada", "pw", NOW);
    const struct answer sessions = select_now(&h->w.f, &all);
    assert_int_equal(sessions.n, 1);
    assert_false(str_eq_z(sessions.rows[0].id, o.session.id));
    assert_true(str_find(sessions.rows[0].json, str_z(o.session.id)) == sessions.rows[0].json.n);
    const struct answer rows = select_now(&h->w.f, &activity);
    assert_int_equal(rows.n, 1);
    assert_true(str_find(rows.rows[0].json, STR("\"ip\":\"10.1.1.1\"")) < rows.rows[0].json.n);
}

static void test_auth_sessions_live_on_and_end(void **state)
{
    struct house *h = *state;
    struct auth_session s = { .expires = 0 };
    struct outcome out = { .done = false };

    make_user(h, "ada", "pw", "");
    const struct login_outcome o = log_in(h, "ada", "pw", NOW);
    const struct auth_credentials c = session_of(&o, "", true);
    auth_reopen(h);
    assert_string_equal(checked(h, &c, NOW, NULL), "");
    assert_int_equal(auth_resume(h->auth, str_z(o.session.id), NOW, &s, NULL), STATUS_OK);
    assert_string_equal(s.csrf_token, o.session.csrf_token);
    assert_string_equal(s.id, o.session.id);
    assert_true(s.expires == o.session.expires);
    assert_int_equal(auth_resume(h->auth, STR("none"), NOW, &s, NULL), STATUS_MISSING);
    assert_int_equal(auth_resume(h->auth, str_z(o.session.id), o.session.expires, &s, NULL),
                     STATUS_MISSING);

    assert_int_equal(auth_logout(h->auth, str_z(o.session.id), outcome_note, &out, NULL),
                     STATUS_OK);
    assert_string_equal(checked(h, &c, NOW, NULL), "session");
    fixture_wait(&h->w.f, &out.done);
    assert_int_equal(out.st, STATUS_OK);
    assert_int_equal(auth_logout(h->auth, str_z(o.session.id), outcome_note, &out, NULL),
                     STATUS_MISSING);
    auth_reopen(h);
    assert_string_equal(checked(h, &c, NOW, NULL), "session");
}

static void test_auth_user_disabled_or_deleted(void **state)
{
    struct house *h = *state;

    make_user(h, "ada", "pw", "");
    const struct login_outcome o = log_in(h, "ada", "pw", NOW);
    const struct auth_credentials c = session_of(&o, "", true);
    good(&h->w, UPDATE, DEF_USER, "{'username':'ada','active':false}");
    assert_string_equal(checked(h, &c, NOW, NULL), "session");
    assert_int_equal(log_in(h, "ada", "pw", NOW).st, STATUS_DENIED);
    good(&h->w, UPDATE, DEF_USER, "{'username':'ada','active':true}");
    assert_string_equal(checked(h, &c, NOW, NULL), "");
    good(&h->w, DELETE, DEF_USER, "{'username':'ada'}");
    assert_string_equal(checked(h, &c, NOW, NULL), "session");
    make_user(h, "ada", "pw", ""); /* another one of that name */
    assert_string_equal(checked(h, &c, NOW, NULL), "session");
    auth_reopen(h);
    assert_string_equal(checked(h, &c, NOW, NULL), "session");
}

static void test_auth_bad_logins_sound_alike(void **state)
{
    struct house *h = *state;
    char longest[PASSWORD_MAX + 2];

    memset(longest, 'p', sizeof longest);
    longest[PASSWORD_MAX + 1] = '\0';
    make_user(h, "ada", "pw", "");
    const struct login_outcome wrong = log_in(h, "ada", "pW", NOW);
    const struct login_outcome unknown = log_in(h, "eve", "pw", NOW);
    const struct login_outcome nameless = log_in(h, "...", "pw", NOW);
    const struct login_outcome endless = log_in(h, "ada", longest, NOW);
    assert_int_equal(wrong.st, STATUS_DENIED);
    assert_int_equal(unknown.st, STATUS_DENIED);
    assert_int_equal(nameless.st, STATUS_DENIED);
    assert_int_equal(endless.st, STATUS_DENIED);
    assert_string_equal(wrong.err.text, unknown.err.text);
    assert_string_equal(wrong.err.text, nameless.err.text);
    assert_string_equal(wrong.err.text, endless.err.text);
}

static int64_t counted(struct house *h)
{
    return json_i64(object(&h->w, DEF_USER, "ada"), "fl_count", -1);
}

static void test_auth_third_failure_locks(void **state) /* the fixture's limit is 2 an hour */
{
    struct house *h = *state;
    const Usec later = NOW + USEC_HOUR;

    make_user(h, "ada", "pw", "");
    assert_int_equal(log_in(h, "ada", "x", NOW).st, STATUS_DENIED);
    assert_int_equal(log_in(h, "ada", "x", NOW).st, STATUS_DENIED);
    assert_int_equal(counted(h), 2);
    assert_int_equal(log_in(h, "ada", "pw", NOW).st, STATUS_OK);
    auth_reopen(h);                                                   /* the count is on disk */
    assert_int_equal(log_in(h, "ada", "x", later).st, STATUS_DENIED); /* a new hour */
    assert_int_equal(counted(h), 1);
    assert_int_equal(log_in(h, "ada", "x", later).st, STATUS_DENIED);
    assert_int_equal(log_in(h, "ada", "pw", later).st, STATUS_OK);
    const struct login_outcome third = log_in(h, "ada", "x", later);
    assert_int_equal(counted(h), 3);
    const struct login_outcome locked = log_in(h, "ada", "pw", later);
    assert_int_equal(locked.st, STATUS_DENIED);
    assert_string_not_equal(locked.err.text, third.err.text);
    assert_int_equal(log_in(h, "ada", "pw", later + USEC_DAY).st, STATUS_DENIED);
    auth_reopen(h);
    assert_int_equal(log_in(h, "ada", "pw", later).st, STATUS_DENIED);
    good(&h->w, UPDATE, DEF_USER,
         "{'username':'ada','force_password_reset':0,'fl_count':0,'fl_date_code':0}");
    assert_int_equal(log_in(h, "ada", "pw", later).st, STATUS_OK);
}

static void test_auth_failures_at_once_all_count(void **state)
{
    struct house *h = *state;
    struct login_outcome o[5] = { { .done = false } };

    make_user(h, "ada", "pw", "");
    for (size_t i = 0; i < COUNT_OF(o); i++)
        assert_int_equal(auth_login(h->auth, STR("ada"), STR("x"), STR(""), STR(""), NOW,
                                    login_note, &o[i], NULL),
                         STATUS_OK);
    for (size_t i = 0; i < COUNT_OF(o); i++) {
        fixture_wait(&h->w.f, &o[i].done);
        assert_int_equal(o[i].st, STATUS_DENIED);
    }
    assert_int_equal(log_in(h, "ada", "pw", NOW).st, STATUS_DENIED);
}

static void test_auth_login_queue_is_bounded(void **state)
{
    struct house *h = *state;
    struct login_outcome o[40] = { { .done = false } };
    size_t busy = 0;

    for (size_t i = 0; i < COUNT_OF(o); i++) {
        const Status st = auth_login(h->auth, STR("eve"), STR("x"), STR(""), STR(""), NOW,
                                     login_note, &o[i], NULL);
        if (st) {
            assert_int_equal(st, STATUS_BUSY);
            busy++;
            o[i].done = true;
        }
    }
    assert_true(busy > 0);
    for (size_t i = 0; i < COUNT_OF(o); i++)
        fixture_wait(&h->w.f, &o[i].done);
}

static void test_auth_imported_password(void **state)
{
    struct house *h = *state;

    /* bcrypt of "secretSALT", cost 4, as an account of the reference has it: password, then salt */
    good(&h->w, CREATE, DEF_USER,
         "{'username':'old','salt':'SALT','password':"
         "'$2b$04$abcdefghijklmnopqrstuusmOAGbAgauDcj6FAhh/ze5iyt7Angoa'}");
    assert_int_equal(log_in(h, "old", "other", NOW).st, STATUS_DENIED);
    assert_int_equal(log_in(h, "old", "secret", NOW).st, STATUS_OK);
}

static void test_auth_put_admin(void **state)
{
    struct house *h = *state;
    struct outcome out = { .done = false };
    struct auth_user u = { .admin = false };
    char hash[PASSWORD_HASH_MAX];

    assert_int_equal(password_hash(STR("first"), hash, NULL), STATUS_OK);
    assert_int_equal(auth_put_admin(h->w.f.store, h->w.d, STR("admin"), str_z(hash), NOW,
                                    outcome_note, &out, NULL),
                     STATUS_OK);
    fixture_wait(&h->w.f, &out.done);
    assert_int_equal(out.st, STATUS_OK);
    const struct login_outcome o = log_in(h, "admin", "first", NOW);
    const struct auth_credentials c = session_of(&o, "", true);
    assert_string_equal(checked(h, &c, NOW, &u), "");
    assert_true(u.admin);
    assert_int_equal(auth_put_admin(h->w.f.store, h->w.d, STR("admin"), str_z(hash), NOW,
                                    outcome_note, &out, NULL),
                     STATUS_EXISTS);
}

static void test_auth_free_with_a_login_on_its_way(void **state)
{
    struct house *h = *state;
    struct login_outcome o = { .done = false };

    assert_int_equal(
        auth_login(h->auth, STR("eve"), STR("x"), STR(""), STR(""), NOW, login_note, &o, NULL),
        STATUS_OK);
    /* the teardown frees auth before the lane has answered */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUTH_TEST(test_auth_login_opens_a_session),
        AUTH_TEST(test_auth_session_row_has_no_id),
        AUTH_TEST(test_auth_sessions_live_on_and_end),
        AUTH_TEST(test_auth_user_disabled_or_deleted),
        AUTH_TEST(test_auth_bad_logins_sound_alike),
        AUTH_TEST(test_auth_third_failure_locks),
        AUTH_TEST(test_auth_failures_at_once_all_count),
        AUTH_TEST(test_auth_login_queue_is_bounded),
        AUTH_TEST(test_auth_imported_password),
        AUTH_TEST(test_auth_put_admin),
        AUTH_TEST(test_auth_free_with_a_login_on_its_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
